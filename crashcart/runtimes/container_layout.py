"""Design → networks and addresses of its containers. Pure: the block of addresses and one port come from outside.

A service that has dependencies stands in a network of its own, with nobody else in it but Toxiproxy: there is no way to
a dependency but through its proxy. Services without dependencies share one. Toxiproxy's own control plane, and the
proxy that shoppers come through, are in a network that no service is in. None of them leads out of this machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from crashcart.model.design import SHOPPERS, Design, instances, proxies
from crashcart.model.errors import UsageError
from crashcart.model.topology import ProxyAddress
from crashcart.runtimes.addresses import LOOPBACK
from crashcart.runtimes.layout import PROTOCOLS, Layout, Place, fixed_port

PORTS: Mapping[str, int] = {"process": 8080, "postgres": 5432, "valkey": 6379, "toxiproxy": 8474}
"""Where a kind listens unless its design says otherwise."""
FIRST_PROXY_PORT = 20_001
EDGE, LEAVES = "edge", "leaves"
_GATEWAY_AND_TOXIPROXY = 2
_LEAST_HOST_BITS = 4


@dataclass(frozen=True, slots=True)
class Networks:
    """What there is to be made, and who is where in it."""

    subnets: Mapping[str, IPv4Network]
    """Network → its addresses; the first is this machine's own, the second Toxiproxy's."""
    addresses: Mapping[str, Mapping[str, str]]
    """Instance → network → its address. `prometheus` is in none: it shares this machine's network."""
    templates: Mapping[str, str]
    """Database service → host:port at which its template is made."""


def lay_out_containers(
    design: Design, *, prefix: str, block: IPv4Network, prometheus_port: int
) -> tuple[Layout, Networks]:
    """Give everything an address. `prefix`: before each network's name.

    Raises:
        UsageError: a port that can't be, or more containers than the block has addresses for.
    """
    members = _members(design)
    databases = [name for name, service in design.services.items() if service.kind == "postgres"]
    subnets = _subnets({name: len(names) for name, names in members.items()}, len(databases), block)
    home = {name: network for network, names in members.items() for name in names}
    toxiproxy = {network: str(_nth(subnet, 2)) for network, subnet in subnets.items()}
    places: dict[str, Place] = {}
    addresses: dict[str, dict[str, str]] = {}
    for network, names in members.items():
        for index, name in enumerate(names):
            service = name.partition("[")[0]
            address = str(_nth(subnets[network], 3 + index))
            addresses[name] = {f"{prefix}{network}": address}
            places[name] = Place(name, service, design.services[service].kind, f"{address}:{_port(design, service)}")
    order = [places[name] for service in design.services for name in instances(design, service)]
    edge = f"{toxiproxy[EDGE]}:{PORTS['toxiproxy']}"
    order += [Place("toxiproxy", "toxiproxy", "toxiproxy", edge)]
    order += [Place("prometheus", "prometheus", "prometheus", f"{LOOPBACK}:{prometheus_port}")]
    addresses["toxiproxy"] = {f"{prefix}{network}": address for network, address in toxiproxy.items()}
    links: dict[str, dict[str, tuple[str, ...]]] = {}
    found = []
    for index, proxy in enumerate(proxies(design)):
        network = EDGE if proxy.client == f"{SHOPPERS}[0]" else home[proxy.client]
        behind = places[proxy.dependency]
        listen = f"{toxiproxy[network]}:{FIRST_PROXY_PORT + index}"
        found.append(ProxyAddress(proxy.name, proxy.link, listen, behind.address, PROTOCOLS[behind.kind]))
        to = links.setdefault(proxy.client, {})
        to[behind.service] = (*to.get(behind.service, ()), listen)
    first_free = 3 + len(members[LEAVES])
    templates = {
        name: f"{_nth(subnets[LEAVES], first_free + index)}:{PORTS['postgres']}" for index, name in enumerate(databases)
    }
    named = {f"{prefix}{network}": subnet for network, subnet in subnets.items()}
    return Layout(tuple(order), tuple(found), links), Networks(named, addresses, templates)


def _members(design: Design) -> dict[str, tuple[str, ...]]:
    """Network → its instances."""
    found: dict[str, tuple[str, ...]] = {EDGE: (), LEAVES: ()}
    for name, service in design.services.items():
        network = f"of-{name}" if service.links else LEAVES
        found[network] = (*found.get(network, ()), *instances(design, name))
    return found


def _subnets(sizes: Mapping[str, int], databases: int, block: IPv4Network) -> dict[str, IPv4Network]:
    largest = max(sizes.values()) + databases + _GATEWAY_AND_TOXIPROXY
    bits = max(_LEAST_HOST_BITS, (largest + 2).bit_length())
    if bits > block.max_prefixlen - block.prefixlen or len(sizes) > 1 << (block.max_prefixlen - bits - block.prefixlen):
        raise UsageError(f"the design has more containers than {block} has addresses for")
    parts: Iterator[IPv4Network] = block.subnets(new_prefix=block.max_prefixlen - bits)
    return dict(zip(sizes, parts, strict=False))


def _nth(subnet: IPv4Network, number: int) -> IPv4Address:
    return subnet[number]


def _port(design: Design, name: str) -> int:
    service = design.services[name]
    return fixed_port(name, service) or PORTS[service.kind]
