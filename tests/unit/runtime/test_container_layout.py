"""Where containers are: nobody but Toxiproxy is in a network with a service that has dependencies."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from crashcart.model.design import Design, Metadata, Service, proxies
from crashcart.model.errors import UsageError
from crashcart.runtimes.container_layout import Networks, lay_out_containers
from crashcart.runtimes.layout import Layout, service_environment

BLOCK = IPv4Network("10.200.16.0/20")
SERVICES: Mapping[str, Service] = {
    "door": Service(links=("helper", "notes-db"), entry=True),
    "helper": Service(links=("store",), replicas=2),
    "notes-db": Service(kind="postgres"),
    "store": Service(kind="valkey"),
    "bank": Service(outside=True),
}


def _design(services: Mapping[str, Service]) -> Design:
    return Design("crashcart/v1", "Design", Metadata("small"), dict(services))


def _laid_out(block: IPv4Network = BLOCK, **changed: Service) -> tuple[Layout, Networks]:
    return lay_out_containers(_design({**SERVICES, **changed}), prefix="run-", block=block, prometheus_port=9090)


def _members(networks: Networks) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {name: set() for name in networks.subnets}
    for instance, addresses in networks.addresses.items():
        for network in addresses:
            found[network].add(instance)
    return found


def test_a_service_with_dependencies_is_alone_with_toxiproxy_and_those_without_share_a_network() -> None:
    _, networks = _laid_out()
    assert _members(networks) == {
        "run-edge": {"toxiproxy"},
        "run-leaves": {"toxiproxy", "notes-db[0]", "store[0]", "bank[0]"},
        "run-of-door": {"toxiproxy", "door[0]"},
        "run-of-helper": {"toxiproxy", "helper[0]", "helper[1]"},
    }


def test_no_service_is_in_a_network_with_what_it_depends_on() -> None:
    layout, networks = _laid_out()
    home = {name: set(addresses) for name, addresses in networks.addresses.items()}
    for proxy in layout.proxies:
        client, dependency = proxy.name.split(".")
        if client != "shoppers[0]":
            assert not home[client] & home[dependency], proxy.name


def test_every_address_is_in_its_networks_range_and_nobody_elses() -> None:
    layout, networks = _laid_out()
    pairs = [
        (networks.subnets[network], IPv4Address(address))
        for addresses in networks.addresses.values()
        for network, address in addresses.items()
    ]
    leaves = networks.subnets["run-leaves"]
    pairs += [(leaves, IPv4Address(address.rpartition(":")[0])) for address in networks.templates.values()]
    assert all(address in subnet.hosts() and address != subnet[1] for subnet, address in pairs)
    assert len({address for _, address in pairs}) == len(pairs)
    assert all(subnet.subnet_of(BLOCK) for subnet in networks.subnets.values())
    subnets = list(networks.subnets.values())
    assert not any(one.overlaps(other) for one in subnets for other in subnets if one is not other)
    listening = [place.address for place in layout.places] + [proxy.listen for proxy in layout.proxies]
    assert len(set(listening)) == len(listening)


def test_each_replica_has_an_address_of_its_own_and_a_proxy_from_each_client() -> None:
    layout, networks = _laid_out()
    helpers = [networks.addresses[f"helper[{number}]"]["run-of-helper"] for number in (0, 1)]
    assert len(set(helpers)) == 2
    upstreams = [proxy.upstream for proxy in layout.proxies if proxy.link == "door.helper"]
    assert upstreams == [f"{address}:8080" for address in helpers]
    assert layout.links["door[0]"]["helper"] == tuple(
        proxy.listen for proxy in layout.proxies if proxy.link == "door.helper"
    )


def test_a_client_reaches_each_of_its_proxies_inside_its_own_network_and_shoppers_theirs_at_the_edge() -> None:
    layout, networks = _laid_out()
    toxiproxy = networks.addresses["toxiproxy"]
    for proxy in layout.proxies:
        client = proxy.name.split(".")[0]
        network = "run-edge" if client == "shoppers[0]" else next(iter(networks.addresses[client]))
        assert proxy.listen.startswith(f"{toxiproxy[network]}:"), proxy.name
    assert len(layout.proxies) == len(list(proxies(_design(SERVICES))))


def test_a_service_is_told_proxies_and_never_the_address_of_a_dependency(tmp_path: Path) -> None:
    layout, _ = _laid_out()
    place = layout.place("door[0]")
    told = service_environment(_design(SERVICES), place, layout, data_dir=tmp_path, admin_token="t")
    links = " ".join(value for key, value in told.items() if key.startswith("LINK_"))
    assert links
    assert not any(other.address in links for other in layout.places)


def test_what_no_service_may_reach_is_at_the_edge_or_on_this_machines_loopback() -> None:
    layout, networks = _laid_out()
    assert layout.place("toxiproxy").address == f"{networks.addresses['toxiproxy']['run-edge']}:8474"
    assert layout.place("prometheus").address == "127.0.0.1:9090"
    assert "prometheus" not in networks.addresses


def test_a_port_that_the_design_fixes_is_kept_at_the_containers_own_address() -> None:
    layout, networks = _laid_out(
        store=Service(kind="valkey", settings={"port": 7000}), bank=Service(env={"LISTEN_ADDRESS": "127.0.0.1:7001"})
    )
    leaves = {name: networks.addresses[name]["run-leaves"] for name in ("store[0]", "bank[0]")}
    assert layout.place("store[0]").address == f"{leaves['store[0]']}:7000"
    assert layout.place("bank[0]").address == f"{leaves['bank[0]']}:7001"


def test_two_services_may_fix_the_same_port_for_each_has_an_address_of_its_own() -> None:
    same = {"LISTEN_ADDRESS": "127.0.0.1:7001"}
    layout, _ = _laid_out(bank=Service(env=same), post=Service(env=same))
    assert layout.place("bank[0]").address != layout.place("post[0]").address


def test_a_fixed_port_that_can_not_be_is_refused() -> None:
    with pytest.raises(UsageError, match="'none' is not a port"):
        _laid_out(store=Service(kind="valkey", settings={"port": "none"}))


@pytest.mark.parametrize("replicas", [20, 200])
def test_networks_grow_with_what_is_in_them(replicas: int) -> None:
    _, networks = _laid_out(helper=Service(replicas=replicas))
    leaves = networks.subnets["run-leaves"]
    inside = {IPv4Address(networks.addresses[f"helper[{n}]"]["run-leaves"]) for n in range(replicas)}
    assert len(inside) == replicas
    assert inside <= set(leaves.hosts())


def test_more_containers_than_addresses_are_refused() -> None:
    with pytest.raises(UsageError, match=r"more containers than 10.200.16.0/24 has addresses for"):
        _laid_out(IPv4Network("10.200.16.0/24"), helper=Service(replicas=300))


def test_more_networks_than_the_block_has_room_for_are_refused() -> None:
    many = {f"one-{number}": Service(links=("store",)) for number in range(20)}
    with pytest.raises(UsageError, match="more containers than"):
        _laid_out(IPv4Network("10.200.16.0/25"), **many)


def test_a_block_that_is_just_large_enough_is_enough() -> None:
    _, networks = _laid_out(IPv4Network("10.200.16.0/26"))
    assert [str(subnet) for subnet in networks.subnets.values()] == [
        "10.200.16.0/28",
        "10.200.16.16/28",
        "10.200.16.32/28",
        "10.200.16.48/28",
    ]
