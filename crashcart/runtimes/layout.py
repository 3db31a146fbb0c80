"""Design → where everything listens and what each process is told. Pure: ports come from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from crashcart.model.design import Design, Service, instances, proxies
from crashcart.model.errors import UsageError
from crashcart.model.topology import ProxyAddress
from crashcart.runtimes.addresses import LOOPBACK

DATABASE = "shop"
"""Of every Postgres server: database and role."""

PROTOCOLS = {"process": "http", "postgres": "postgres", "valkey": "valkey"}

PortOf = Callable[[str, int | None], int]
"""(whose, the port that the user fixed or None) → port."""


@dataclass(frozen=True, slots=True)
class Place:
    """One instance to be: what it is and where it will listen (host:port)."""

    name: str
    service: str
    kind: str
    address: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything that will listen."""

    places: tuple[Place, ...]
    """The design's instances in its order, then `toxiproxy` and `prometheus`."""
    proxies: tuple[ProxyAddress, ...]
    links: Mapping[str, Mapping[str, tuple[str, ...]]]
    """Client instance → dependency → host:port of its own proxies, one per replica."""

    def place(self, name: str) -> Place:
        """By the instance's name; KeyError where there is none."""
        return next((place for place in self.places if place.name == name), None) or _no(name)


def _no(name: str) -> Place:
    raise KeyError(name)


def lay_out(design: Design, port_of: PortOf) -> Layout:
    """Give every instance and every proxy of the design an address on the loopback interface.

    Raises:
        UsageError: a fixed port that can't be.
    """
    places: dict[str, Place] = {}
    for service_name, service in design.services.items():
        fixed = fixed_port(service_name, service)
        for name in instances(design, service_name):
            places[name] = Place(name, service_name, service.kind, _loopback(port_of(name, fixed)))
    for name in ("toxiproxy", "prometheus"):
        places[name] = Place(name, name, name, _loopback(port_of(name, None)))
    links: dict[str, dict[str, tuple[str, ...]]] = {}
    addresses = []
    for proxy in proxies(design):
        behind = places[proxy.dependency]
        listen = _loopback(port_of(proxy.name, None))
        addresses.append(ProxyAddress(proxy.name, proxy.link, listen, behind.address, PROTOCOLS[behind.kind]))
        to = links.setdefault(proxy.client, {})
        to[behind.service] = (*to.get(behind.service, ()), listen)
    return Layout(tuple(places.values()), tuple(addresses), links)


def fixed_port(name: str, service: Service) -> int | None:
    """The port that the design fixes: `settings: {port: …}` of a server, `env: {LISTEN_ADDRESS: …}` of a process."""
    if service.kind == "process":
        wanted: object = service.env.get("LISTEN_ADDRESS", "").rpartition(":")[2] or None
    else:
        wanted = service.settings.get("port")
    if wanted is None:
        return None
    text = str(wanted)
    if not text.isdigit() or not 0 < int(text) < 65_536:
        raise UsageError(f"{text!r} is not a port", where=f"service {name}", remedy="write a number from 1 to 65535")
    if service.replicas > 1:
        raise UsageError(f"{service.replicas} replicas can't share port {text}", where=f"service {name}")
    return int(text)


def link_environment(design: Design, links: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """`LINK_ORDERS_DB` → comma-separated addresses of an instance's own proxies, in the dependency's own scheme."""
    told = {}
    for dependency, addresses in links.items():
        kind = design.services[dependency].kind
        variable = f"LINK_{dependency.upper().replace('-', '_')}"
        told[variable] = ",".join(link_address(kind, address) for address in addresses)
    return told


def link_address(kind: str, address: str) -> str:
    """What a client connects to, as a URL."""
    if kind == "postgres":
        return f"postgresql://{DATABASE}@{address}/{DATABASE}"
    if kind == "valkey":
        return f"valkey://{address}/0"
    return f"http://{address}"


def service_environment(
    design: Design, place: Place, layout: Layout, data_dir: Path, admin_token: str
) -> dict[str, str]:
    """What a service is told about itself and its links; the design's own `env` has the last word."""
    return {
        "SERVICE_NAME": place.service,
        "SERVICE_INSTANCE": place.name,
        "LISTEN_ADDRESS": place.address,
        "DATA_DIR": str(data_dir),
        "ADMIN_TOKEN": admin_token,
        **link_environment(design, layout.links.get(place.name, {})),
        **design.services[place.service].env,
    }


def _loopback(port: int) -> str:
    return f"{LOOPBACK}:{port}"
