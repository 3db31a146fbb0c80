"""Design → services and networks of a Compose file. Pure: everything is reached by name, and nothing has an address.

As in the docker runtime: a service that has dependencies stands in a network of its own with Toxiproxy, so that there
is no way to a dependency but through its proxy; services without dependencies share one. Those networks lead nowhere.
Prometheus is in them too, to scrape, and forwards nothing. The shoppers' proxy and Toxiproxy's control plane are in
`front`, where no service is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crashcart.model.design import SHOPPERS, Design, instances, proxies
from crashcart.model.errors import UsageError
from crashcart.model.topology import ProxyAddress
from crashcart.runtimes.container_layout import FIRST_PROXY_PORT, PORTS
from crashcart.runtimes.containers import alias_of
from crashcart.runtimes.layout import PROTOCOLS, Layout, Place, fixed_port

FRONT, LEAVES = "front", "leaves"
TOXIPROXY, PROMETHEUS, GRAFANA, LOAD = "toxiproxy", "prometheus", "grafana", "load"
PROMETHEUS_PORT, GRAFANA_PORT, LOAD_PORT = 9090, 3000, 8089


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is called what, and who is where."""

    layout: Layout
    """The design's instances at name:port; a proxy listens at a name that Toxiproxy has in that network alone."""
    names: Mapping[str, str]
    """Instance → service of the Compose file: `checkout`, or `checkout-0` where there are several."""
    networks: Mapping[str, tuple[str, ...]]
    """Network → instances in it."""

    def network_of(self, instance: str) -> str:
        """The one that it is in."""
        return next(network for network, members in self.networks.items() if instance in members)


def lay_out_compose(design: Design) -> Plan:
    """Give everything a name.

    Raises:
        UsageError: two services of the Compose file would have the same name, or a fixed port can't be.
    """
    every = [name for service in design.services for name in instances(design, service)]
    names = {name: _name(design, name) for name in every}
    _check(names)
    networks = _networks(design)
    home = {name: network for network, members in networks.items() for name in members}
    places = {name: _place(design, name, names[name]) for name in every}
    links: dict[str, dict[str, tuple[str, ...]]] = {}
    found = []
    for index, proxy in enumerate(proxies(design)):
        network = FRONT if proxy.client == f"{SHOPPERS}[0]" else home[proxy.client]
        behind, port = places[proxy.dependency], FIRST_PROXY_PORT + index
        listen = f"{alias_in(network)}:{port}"
        found.append(ProxyAddress(proxy.name, proxy.link, listen, behind.address, PROTOCOLS[behind.kind]))
        to = links.setdefault(proxy.client, {})
        to[behind.service] = (*to.get(behind.service, ()), f"{TOXIPROXY}:{port}")
    return Plan(Layout(tuple(places.values()), tuple(found), links), names, networks)


def alias_in(network: str) -> str:
    """What Toxiproxy is called in one network and in no other: to listen there is to listen nowhere else."""
    return f"{TOXIPROXY}-{network}"


def seed_name(database: str, number: int) -> str:
    """The service that runs a database's init command, from 1."""
    return f"{database}-seed" if number == 1 else f"{database}-seed-{number}"


def _name(design: Design, instance: str) -> str:
    service = instance.partition("[")[0]
    return service if design.services[service].replicas == 1 else alias_of(instance)


def _check(names: Mapping[str, str]) -> None:
    taken = dict.fromkeys((TOXIPROXY, PROMETHEUS, GRAFANA, LOAD), "what comes with every export")
    for instance, name in names.items():
        if name in taken:
            what = f"{instance} and {taken[name]} would both be called {name} in the Compose file"
            raise UsageError(what, remedy="rename the service in the design")
        taken[name] = instance


def _networks(design: Design) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {FRONT: ()}
    for name, service in design.services.items():
        network = f"of-{name}" if service.links else LEAVES
        found[network] = (*found.get(network, ()), *instances(design, name))
    return found


def _place(design: Design, instance: str, name: str) -> Place:
    service_name = instance.partition("[")[0]
    service = design.services[service_name]
    port = fixed_port(service_name, service) or PORTS[service.kind]
    return Place(instance, service_name, service.kind, f"{name}:{port}")
