"""Plan → the files that the services of a Compose file mount. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable

from crashcart.compose.layout import FRONT, LOAD, LOAD_PORT, PROMETHEUS, PROMETHEUS_PORT, TOXIPROXY, Plan, alias_in
from crashcart.prometheus import SCRAPE_INTERVAL_S, Target, scrape_config
from crashcart.runtimes.container_layout import PORTS
from crashcart.runtimes.layout import DATABASE

_UID = "crashcart"
ROLE_SQL = f"CREATE ROLE {DATABASE} LOGIN;\nCREATE DATABASE {DATABASE} OWNER {DATABASE};\n"
"""Run first, by the server's own user."""


def toxiproxy_json(plan: Plan) -> str:
    """What `-config` reads: every proxy, on."""
    found = [
        {"name": proxy.name, "listen": proxy.listen, "upstream": proxy.upstream, "enabled": True}
        for proxy in plan.layout.proxies
    ]
    return json.dumps(found, indent=1) + "\n"


def prometheus_yml(plan: Plan) -> str:
    """Services, Toxiproxy and the load, once a second, under the names that dashboards and rules know."""
    services = [
        Target(place.service, place.name, place.address) for place in plan.layout.places if place.kind == "process"
    ]
    others = [
        Target(TOXIPROXY, TOXIPROXY, f"{alias_in(FRONT)}:{PORTS['toxiproxy']}"),
        Target(LOAD, LOAD, f"{LOAD}:{LOAD_PORT}"),
    ]
    return scrape_config([*services, *others], rule_files=("/etc/prometheus/rules/*.yaml",))


def data_source() -> str:
    """Grafana's provisioning file of the data source; the scrape interval is what its rates are taken over."""
    source = {
        "name": _UID,
        "uid": _UID,
        "type": "prometheus",
        "access": "proxy",
        "url": f"http://{PROMETHEUS}:{PROMETHEUS_PORT}",
        "isDefault": True,
        "jsonData": {"timeInterval": f"{SCRAPE_INTERVAL_S:g}s", "httpMethod": "POST"},
    }
    return json.dumps({"apiVersion": 1, "datasources": [source]}, indent=1) + "\n"


def dashboard_provider() -> str:
    """Grafana's provisioning file of the folder of dashboards."""
    provider = {
        "name": _UID,
        "folder": _UID,
        "folderUid": _UID,
        "type": "file",
        "options": {"path": "/var/lib/grafana/dashboards"},
    }
    return json.dumps({"apiVersion": 1, "providers": [provider]}, indent=1) + "\n"


def init_files(scripts: Iterable[tuple[str, str]]) -> dict[str, str]:
    """(file, SQL) → what stands in /docker-entrypoint-initdb.d, in order; the schema is made by its own role."""
    found = {"00-role.sql": ROLE_SQL}
    for number, (file, sql) in enumerate(scripts, start=1):
        name = file.rpartition("/")[2].removesuffix(".sql")
        found[f"{number:02d}-{name}.sql"] = f"-- {file}\n\\connect {DATABASE} {DATABASE}\n{sql}"
    return found
