"""Plan → the Compose file, as the current specification has it and as docker-compose 1.29 still reads it.

So there is no `version` (obsolete), and neither a top-level `name` nor `start_interval` (1.29 refuses both).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from crashcart.compose.blocks import LOAD_BUILD, Block, Built, answers, build_of, confined, literal, published
from crashcart.compose.layout import (
    FRONT,
    GRAFANA,
    GRAFANA_PORT,
    LOAD,
    LOAD_PORT,
    PROMETHEUS,
    PROMETHEUS_PORT,
    TOXIPROXY,
    Plan,
    alias_in,
)
from crashcart.compose.shop import services_of
from crashcart.model.design import Design, instances
from crashcart.model.images import Images
from crashcart.runtimes.container_layout import FIRST_PROXY_PORT, PORTS
from crashcart.runtimes.toxiproxy_server import toxiproxy_argv

PASSWORD = "${GRAFANA_PASSWORD:?see .env}"


def compose_document(design: Design, plan: Plan, images: Images, built: Built, *, home_dashboard: str = "") -> Block:
    """The whole document. `home_dashboard`: its file's name, which Grafana shows first; empty for Grafana's own."""
    services = services_of(design, plan, images, built)
    services[TOXIPROXY] = _toxiproxy(plan, images)
    services[PROMETHEUS] = _prometheus(plan, images)
    services[GRAFANA] = _grafana(images, home_dashboard)
    services[LOAD] = _load(design, plan, images, built)
    mounted = [word for one in services.values() for word in one.get("volumes", ())]
    volumes: Block = {word.partition(":")[0]: {} for word in mounted if not word.startswith("./")}
    networks: Block = {network: {} if network == FRONT else {"internal": True} for network in plan.networks}
    return {"services": services, "networks": networks, "volumes": volumes}


def as_yaml(document: Mapping[str, Any]) -> str:
    """Lists of words on one line, everything else in blocks."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def _toxiproxy(plan: Plan, images: Images) -> Block:
    argv = toxiproxy_argv(Path(TOXIPROXY), f"{alias_in(FRONT)}:{PORTS['toxiproxy']}")
    return {
        "image": images.parts["toxiproxy"],
        "command": [*argv[1:], "-config", "/etc/toxiproxy.json"],
        "networks": {network: {"aliases": [alias_in(network)]} for network in plan.networks},
        "ports": [published("CRASHCART_SHOP_PORT", 8000, FIRST_PROXY_PORT)],
        "volumes": ["./toxiproxy.json:/etc/toxiproxy.json:ro"],
        **confined(),
    }


def _prometheus(plan: Plan, images: Images) -> Block:
    kinds = {place.name: place.kind for place in plan.layout.places}
    with_processes = [net for net, members in plan.networks.items() if any(kinds[one] == "process" for one in members)]
    return {
        "image": images.parts["prometheus"],
        "command": [
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
            "--storage.tsdb.retention.time=1d",
        ],
        "networks": [FRONT, *with_processes],
        "ports": [published("CRASHCART_PROMETHEUS_PORT", PROMETHEUS_PORT, PROMETHEUS_PORT)],
        "volumes": [
            "prometheus-data:/prometheus",
            "./prometheus.yml:/etc/prometheus/prometheus.yml:ro",
            "./rules:/etc/prometheus/rules:ro",
        ],
        "security_opt": ["no-new-privileges:true"],
    }


def _grafana(images: Images, home_dashboard: str) -> Block:
    told = {
        "GF_SECURITY_ADMIN_PASSWORD": PASSWORD,
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    }
    if home_dashboard:
        home = f"/var/lib/grafana/dashboards/{home_dashboard}"
        told["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] = literal(home)
    return {
        "image": images.parts["grafana"],
        "environment": told,
        "networks": [FRONT],
        "depends_on": {PROMETHEUS: {"condition": "service_started"}},
        "ports": [published("CRASHCART_GRAFANA_PORT", GRAFANA_PORT, GRAFANA_PORT)],
        "volumes": [
            "./grafana/provisioning:/etc/grafana/provisioning:ro",
            "./grafana/dashboards:/var/lib/grafana/dashboards:ro",
        ],
        "security_opt": ["no-new-privileges:true"],
    }


def _load(design: Design, plan: Plan, images: Images, built: Built) -> Block:
    door = plan.names[instances(design, design.entry)[0]]
    return {
        "image": built.load,
        "build": build_of(built.load, LOAD_BUILD, built.load_dockerfile, images),
        "command": ["--host", f"http://{TOXIPROXY}:{FIRST_PROXY_PORT}", "--web-host", "0.0.0.0"],  # noqa: S104
        "networks": [FRONT],
        "depends_on": {TOXIPROXY: {"condition": "service_started"}, door: {"condition": "service_healthy"}},
        "ports": [published("CRASHCART_LOAD_PORT", LOAD_PORT, LOAD_PORT)],
        **confined(),
        "healthcheck": answers("python", LOAD_PORT, "/metrics"),
    }


class _Dumper(yaml.SafeDumper):
    """One text for one document: no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - as its base takes it
        return True


def _words(dumper: _Dumper, data: list[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", _as_words(data), flow_style=True)


def _as_words(data: list[Any]) -> Iterator[str]:
    """Compose wants words of commands to be text."""
    return (word if isinstance(word, str) else str(word) for word in data)


_Dumper.add_representer(list, _words)
