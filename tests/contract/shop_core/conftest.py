"""Servers that the tests of the shop's core share: one of each for the whole session, links of each test's own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from crashcart.tools import Toolbox
from tests.contract.shop_core.fakes import FakeCheckout, Shop
from tests.contract.shop_core.servers import PostgresServer, Proxy, ServiceProcess, ToxiproxyServer, ValkeyServer

SCHEMA = (Path(__file__).resolve().parents[3] / "stack/inventory/schema.sql").read_text()
SHELF = """
INSERT INTO products (rank, sku, name, price_cents, business_line, initial, on_hand) VALUES
    (1, 'G00001', 'Sturdy Steel Lamp 00001', 1999, 'general', 1000, 1000),
    (2, 'G00002', 'Quiet Oak Chair 00002', 4999, 'general', 1000, 1000),
    (3, 'P0001', 'Glossy Photo Print 10x15 0001', 99, 'photo', 5, 5),
    (4, 'G00003', 'Compact Glass Kettle 00003', 2999, 'general', 0, 0)
"""


@pytest.fixture(scope="session")
def postgres(toolbox: Toolbox) -> Iterator[PostgresServer]:
    with tempfile.TemporaryDirectory(prefix="shop-core-") as made:
        Path(made).chmod(0o755)  # the server's account must come through
        server = PostgresServer(toolbox.postgres.path, Path(made))
        yield server
        server.stop()


@pytest.fixture(scope="session")
def valkey(toolbox: Toolbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    server = ValkeyServer(toolbox.valkey.path, tmp_path_factory.mktemp("valkey"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def toxiproxy(toolbox: Toolbox) -> Iterator[ToxiproxyServer]:
    server = ToxiproxyServer(toolbox.toxiproxy.path)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def inventory_link(postgres: PostgresServer, toxiproxy: ToxiproxyServer) -> Proxy:
    postgres.fresh(SCHEMA)
    return toxiproxy.proxy("inventory.inventory-db", postgres.port)


@pytest.fixture(scope="session")
def inventory_service(inventory_link: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    links = {"inventory-db": f"postgresql://shop@127.0.0.1:{inventory_link.port}/shop"}
    service = ServiceProcess("inventory", tmp_path_factory.mktemp("inventory"), links, {"SWEEP_S": "0.1"}).start()
    yield service
    service.stop()


@pytest.fixture
def inventory(inventory_service: ServiceProcess, postgres: PostgresServer) -> ServiceProcess:
    """The service, with a shelf of four products: two plenty, one with five pieces, one with none."""
    # In the order in which the sweeper, which never rests, locks them.
    postgres.sql(f"TRUNCATE holds, hold_lines, products; {SHELF}")
    return inventory_service


@pytest.fixture(scope="session")
def cart_store(valkey: ValkeyServer, toxiproxy: ToxiproxyServer) -> Proxy:
    return toxiproxy.proxy("cart.cart-store", valkey.port)


@pytest.fixture(scope="session")
def cart_service(cart_store: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    links = {"cart-store": f"valkey://127.0.0.1:{cart_store.port}/0"}
    service = ServiceProcess("cart", tmp_path_factory.mktemp("cart"), links).start()
    yield service
    service.stop()


@pytest.fixture
def cart(cart_service: ServiceProcess) -> ServiceProcess:
    """The service over an empty or unknown store: each test picks cart ids of its own."""
    return cart_service


@pytest.fixture
def checkout() -> Iterator[FakeCheckout]:
    fake = FakeCheckout()
    yield fake
    fake.stop()


@pytest.fixture
def shop(
    inventory: ServiceProcess,
    cart: ServiceProcess,
    checkout: FakeCheckout,
    toxiproxy: ToxiproxyServer,
    tmp_path: Path,
) -> Iterator[Shop]:
    """A storefront before the real inventory and cart and a checkout written by hand, each behind a link."""
    ports = {"inventory": inventory.port, "cart": cart.port, "checkout": checkout.port}
    links = {name: toxiproxy.proxy(f"storefront.{name}", port) for name, port in ports.items()}
    addresses = {name: f"http://127.0.0.1:{link.port}" for name, link in links.items()}
    shop = Shop(ServiceProcess("storefront", tmp_path, addresses).start(), checkout, **links)
    yield shop
    shop.front.stop()
    for link in links.values():
        link.remove()
