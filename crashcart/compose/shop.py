"""The design's own services in a Compose file: commands, databases with their schema and seed, cart stores."""

from __future__ import annotations

from pathlib import Path

from crashcart.compose.blocks import Block, Built, answers, confined, literal, of_shop
from crashcart.compose.layout import TOXIPROXY, Plan, seed_name
from crashcart.model.design import Design, instances
from crashcart.model.images import Images
from crashcart.runtimes.layout import DATABASE, Place, link_address, service_environment
from crashcart.runtimes.postgres import server_settings
from crashcart.runtimes.servers import valkey_argv

TOKEN = "${ADMIN_TOKEN:?see .env}"
DATA = "/data"
_SOON = {"interval": "2s", "timeout": "4s", "retries": 30}
_PING = (
    'exec 3<>/dev/tcp/127.0.0.1/{port} && printf "PING\\r\\n" >&3 && read -t 2 -n 5 word <&3 && [ "$$word" = +PONG ]'
)


def services_of(design: Design, plan: Plan, images: Images, built: Built) -> Block:
    """All of them, by name."""
    found: Block = {}
    for place in plan.layout.places:
        name = plan.names[place.name]
        match place.kind:
            case "postgres":
                found[name] = _postgres(design, plan, place, images)
                found |= _seeds(design, plan, place, images, built)
            case "valkey":
                found[name] = _valkey(design, plan, place, images)
            case _:
                found[name] = _process(design, plan, place, images, built)
    return found


def _process(design: Design, plan: Plan, place: Place, images: Images, built: Built) -> Block:
    port = _port(place)
    told = service_environment(design, place, plan.layout, Path(DATA), TOKEN)
    told["LISTEN_ADDRESS"] = f"0.0.0.0:{port}"
    return {
        **of_shop(images, built),
        "command": _command(design.services[place.service].command, images),
        "environment": {key: value if value == TOKEN else literal(value) for key, value in told.items()},
        "networks": [plan.network_of(place.name)],
        "depends_on": _needs(design, plan, place),
        "volumes": [f"{plan.names[place.name]}-data:{DATA}"],
        **confined(),
        "healthcheck": answers(images.shop.python, port, "/livez"),
    }


def _needs(design: Design, plan: Plan, place: Place) -> Block:
    """Proxies and servers first, as in every runtime; no service waits for another."""
    needed: Block = {TOXIPROXY: {"condition": "service_started"}}
    for linked in design.services[place.service].links:
        service = design.services[linked]
        if service.kind == "process":
            continue
        commands = len(service.init.commands) if service.kind == "postgres" else 0
        for instance in instances(design, linked):
            name = plan.names[instance]
            needed[name] = {"condition": "service_healthy"}
            if commands:
                needed[seed_name(name, commands)] = {"condition": "service_completed_successfully"}
    return needed


def _postgres(design: Design, plan: Plan, place: Place, images: Images) -> Block:
    name, port = plan.names[place.name], _port(place)
    chosen = {**server_settings(design.services[place.service].settings), "port": port}
    return {
        "image": images.parts["postgres"],
        "command": [
            "postgres",
            *(word for key, value in chosen.items() for word in ("-c", literal(f"{key}={value}"))),
        ],
        "environment": {"POSTGRES_HOST_AUTH_METHOD": "trust", "PGPORT": port},
        "networks": [plan.network_of(place.name)],
        "volumes": [f"{name}-data:/var/lib/postgresql", f"./databases/{place.service}:/docker-entrypoint-initdb.d:ro"],
        "security_opt": ["no-new-privileges:true"],
        "healthcheck": {
            "test": ["CMD", "pg_isready", "-q", "-h", "127.0.0.1", "-p", port, "-U", DATABASE, "-d", DATABASE],
            **_SOON,
        },
    }


def _seeds(design: Design, plan: Plan, place: Place, images: Images, built: Built) -> Block:
    """One service for each init command, one after the other, each at every `up`."""
    service, name = design.services[place.service], plan.names[place.name]
    found: Block = {}
    needs: Block = {name: {"condition": "service_healthy"}}
    for number, command in enumerate(service.init.commands, start=1):
        found[seed_name(name, number)] = {
            **of_shop(images, built),
            "command": [*_command(command, images), link_address("postgres", place.address)],
            **({"environment": {key: literal(value) for key, value in service.env.items()}} if service.env else {}),
            "networks": [plan.network_of(place.name)],
            "depends_on": needs,
            **confined(),
            "healthcheck": {"disable": True},
            "restart": "no",
        }
        needs = {seed_name(name, number): {"condition": "service_completed_successfully"}}
    return found


def _valkey(design: Design, plan: Plan, place: Place, images: Images) -> Block:
    port = _port(place)
    argv = valkey_argv(Path("valkey-server"), f"0.0.0.0:{port}", Path(DATA), design.services[place.service].settings)
    return {
        "image": images.parts["valkey"],
        "command": [literal(word) for word in argv],
        "networks": [plan.network_of(place.name)],
        "volumes": [f"{plan.names[place.name]}-data:{DATA}"],
        "security_opt": ["no-new-privileges:true"],
        "healthcheck": {"test": ["CMD", "bash", "-c", _PING.format(port=port)], **_SOON},
    }


def _command(words: tuple[str, ...], images: Images) -> list[str]:
    return [literal(images.shop.python if word == "{python}" else word) for word in words]


def _port(place: Place) -> int:
    return int(place.address.rpartition(":")[2])
