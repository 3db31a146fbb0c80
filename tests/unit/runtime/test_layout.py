"""Where things listen and what each process is told, without starting any."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from crashcart.model.design import Design, Metadata, Service
from crashcart.model.errors import UsageError
from crashcart.runtimes.layout import Layout, PortOf, fixed_port, lay_out, service_environment


def _ports() -> PortOf:
    numbers = count(1000)
    return lambda whose, fixed: next(numbers) if fixed is None else fixed


def _design(**services: Service) -> Design:
    return Design("crashcart/v1", "Design", Metadata("d"), {name.replace("_", "-"): s for name, s in services.items()})


def _shop() -> tuple[Design, Layout]:
    design = _design(
        door=Service(
            command=("door",), links=("back", "orders_db".replace("_", "-"), "store"), entry=True, env={"A": "1"}
        ),
        back=Service(command=("back",), replicas=2),
        orders_db=Service(kind="postgres"),
        store=Service(kind="valkey"),
    )
    return design, lay_out(design, _ports())


def _environment(design: Design, layout: Layout, instance: str) -> dict[str, str]:
    return service_environment(design, layout.place(instance), layout, Path("/data"), "token")


def test_a_client_is_told_of_its_own_proxies_and_of_no_server() -> None:
    design, layout = _shop()
    told = _environment(design, layout, "door[0]")
    linked = {key: value for key, value in told.items() if key.startswith("LINK_")}
    proxies = {proxy.name: proxy.listen for proxy in layout.proxies}
    assert linked == {
        "LINK_BACK": f"http://{proxies['door[0].back[0]']},http://{proxies['door[0].back[1]']}",
        "LINK_ORDERS_DB": f"postgresql://shop@{proxies['door[0].orders-db[0]']}/shop",
        "LINK_STORE": f"valkey://{proxies['door[0].store[0]']}/0",
    }
    assert not any(place.address in "".join(linked.values()) for place in layout.places)


def test_every_proxy_leads_to_the_instance_that_its_name_says_in_its_own_protocol() -> None:
    _, layout = _shop()
    assert {
        proxy.name: (layout.place(proxy.name.split(".")[1]).address, proxy.protocol) for proxy in layout.proxies
    } == {proxy.name: (proxy.upstream, proxy.protocol) for proxy in layout.proxies}
    assert {proxy.protocol for proxy in layout.proxies} == {"http", "postgres", "valkey"}


def test_no_two_things_listen_at_the_same_address() -> None:
    _, layout = _shop()
    addresses = [place.address for place in layout.places] + [proxy.listen for proxy in layout.proxies]
    assert len(set(addresses)) == len(addresses)


def test_a_service_is_told_who_it_is_and_its_settings() -> None:
    design, layout = _shop()
    told = _environment(design, layout, "door[0]")
    assert told["SERVICE_NAME"] == "door"
    assert told["SERVICE_INSTANCE"] == "door[0]"
    assert told["LISTEN_ADDRESS"] == layout.place("door[0]").address
    assert told["DATA_DIR"] == "/data"
    assert told["A"] == "1"
    assert told["ADMIN_TOKEN"] == "token"


def test_the_shoppers_have_a_proxy_to_the_entry() -> None:
    _, layout = _shop()
    door = next(proxy for proxy in layout.proxies if proxy.link == "shoppers.door")
    assert (door.name, door.upstream) == ("shoppers[0].door[0]", layout.place("door[0]").address)


def test_a_port_that_the_design_fixes_is_taken_over() -> None:
    design = _design(
        door=Service(command=("door",), entry=True, env={"LISTEN_ADDRESS": "127.0.0.1:8080"}),
        db=Service(kind="postgres", settings={"port": 5433}),
    )
    layout = lay_out(design, _ports())
    assert layout.place("door[0]").address == "127.0.0.1:8080"
    assert layout.place("db[0]").address == "127.0.0.1:5433"


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_what_is_no_port_is_refused(port: str) -> None:
    with pytest.raises(UsageError, match="is not a port"):
        fixed_port("db", Service(kind="postgres", settings={"port": port}))


def test_replicas_can_not_share_a_fixed_port() -> None:
    with pytest.raises(UsageError, match="2 replicas"):
        fixed_port("db", Service(kind="postgres", settings={"port": 5433}, replicas=2))
