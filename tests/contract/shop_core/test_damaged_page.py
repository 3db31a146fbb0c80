"""One bad page of the products: what is on it is refused honestly, everything else is sold, the books stay right."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.contract.shop_core.damage import DamagedPage
from tests.contract.shop_core.fakes import Shop
from tests.contract.shop_core.servers import Answer, PostgresServer, ServiceProcess, wait_until

MORE = """
INSERT INTO products (rank, sku, name, price_cents, business_line, initial, on_hand)
SELECT 10 + n, 'X' || lpad(n::text, 4, '0'), 'Filler ' || repeat('x', 60) || n, 500, 'general', 9, 9
FROM generate_series(1, 1500) AS n
"""
BOOKS = """
SELECT count(*) FROM products WHERE on_hand <> initial + restocked - coalesce((
    SELECT sum(quantity) FROM hold_lines JOIN holds USING (order_id)
    WHERE hold_lines.sku = products.sku AND state IN ('held', 'confirmed')), 0)
"""
VICTIM, FINE = "X0700", "X0010"


@pytest.fixture
def stocked(inventory: ServiceProcess, postgres: PostgresServer) -> ServiceProcess:
    postgres.sql(MORE)
    wait_until("the service knows them", lambda: inventory.call("GET", "/products").body[-1]["sku"] == "X1500")
    wait_until("it has looked at the stock", lambda: inventory.call("GET", "/stock").body["sold_out"] == ["G00003"])
    return inventory


@pytest.fixture
def page(stocked: ServiceProcess, postgres: PostgresServer) -> Iterator[DamagedPage]:
    damaged = DamagedPage.with_product(postgres, VICTIM)
    assert FINE not in damaged.skus
    yield damaged
    damaged.repair()


def hold(inventory: ServiceProcess, *skus: str, order: str = "", ttl_s: float = 60) -> Answer:
    lines = [{"sku": sku, "quantity": 1} for sku in skus]
    body = {"order_id": order or str(uuid.uuid4()), "lines": lines, "ttl_s": ttl_s}
    return inventory.call("POST", "/holds", body, key=uuid.uuid4().hex)


def test_what_is_on_the_page_is_refused_by_name_and_all_else_is_sold(
    stocked: ServiceProcess, page: DamagedPage
) -> None:
    for skus in ((VICTIM,), (FINE, VICTIM)):
        refused = hold(stocked, *skus)
        assert (refused.status, refused.body["type"]) == (503, "/problems/product-unavailable")
        assert refused.body["skus"] == [VICTIM]
        assert refused.body["safe_to_retry"] is True
        assert refused.body["done"] is False
    assert hold(stocked, FINE).status == 201
    page.repair()
    assert hold(stocked, VICTIM).status == 201


def test_stock_and_catalogue_tell_all_that_can_be_read_and_name_what_cannot(
    stocked: ServiceProcess, page: DamagedPage
) -> None:
    wait_until("the damage is seen", lambda: bool(stocked.call("GET", "/stock").body["damaged"]))
    stock = stocked.call("GET", "/stock").body
    assert stock["sold_out"] == ["G00003"]
    assert tuple(stock["unavailable"]) == page.skus
    products = stocked.call("GET", "/products")
    assert products.headers["x-incomplete"] == "1"
    assert {row["sku"] for row in products.body}.isdisjoint(page.skus)
    assert len(products.body) == 1504 - len(page.skus)
    page.repair()
    wait_until("the repair is seen", lambda: not stocked.call("GET", "/stock").body["damaged"])
    assert stocked.call("GET", "/stock").body["unavailable"] == []


def test_two_damaged_pages_are_read_around_as_well(
    stocked: ServiceProcess, postgres: PostgresServer, page: DamagedPage
) -> None:
    other = DamagedPage(postgres, page.file, page.block + 2, b"", ())
    with other.file.open("r+b") as table:
        table.seek(other.block * 8192)
        other.saved = table.read(8192)
        table.seek(other.block * 8192 + 4096)
        table.write(b"\xff" * 32)
    try:
        wait_until("both are seen", lambda: len(stocked.call("GET", "/stock").body["unavailable"]) > len(page.skus))
    finally:
        other.repair()


def test_releases_and_expiries_of_other_products_go_on_and_the_rest_follows_after_the_repair(
    stocked: ServiceProcess, postgres: PostgresServer
) -> None:
    orders = {name: str(uuid.uuid4()) for name in ("stuck", "free", "stuck-late", "free-late")}
    assert hold(stocked, VICTIM, order=orders["stuck"]).status == 201
    assert hold(stocked, FINE, order=orders["free"]).status == 201
    assert hold(stocked, VICTIM, order=orders["stuck-late"]).status == 201
    assert hold(stocked, FINE, order=orders["free-late"]).status == 201
    damaged = DamagedPage.with_product(postgres, VICTIM)
    try:
        released = stocked.call("POST", "/holds/release", {"order_ids": [orders["stuck"], orders["free"]]})
        assert (released.status, released.body["released"]) == (200, [orders["free"]])
        late = f"'{orders['stuck-late']}', '{orders['free-late']}'"
        postgres.sql(f"UPDATE holds SET expires_at = now() WHERE order_id IN ({late})")

        def state(name: str) -> str:
            return postgres.sql(f"SELECT state FROM holds WHERE order_id = '{orders[name]}'")

        wait_until("the other one has expired", lambda: state("free-late") == "expired")
        assert state("stuck-late") == state("stuck") == "held"
    finally:
        damaged.repair()
    wait_until("it has expired, too", lambda: state("stuck-late") == "expired")
    assert stocked.call("POST", "/holds/release", {"order_ids": [orders["stuck"]]}).body["released"] == [
        orders["stuck"]
    ]
    assert postgres.sql(BOOKS) == "0"


def test_the_storefront_keeps_what_it_knows_even_when_it_starts_in_the_middle_of_it(
    stocked: ServiceProcess, shop: Shop, postgres: PostgresServer
) -> None:
    def page_of(sku: str) -> Answer:
        return shop.front.call("GET", f"/products/{sku}")

    postgres.sql(MORE.replace("'X'", "'Y'").replace("10 + n", "2000 + n"))
    wait_until("the shelf is full", lambda: page_of("Y1500").status == 200)
    wait_until("the stock is known", lambda: page_of(VICTIM).body["available"] is True)
    damaged = DamagedPage.with_product(postgres, VICTIM)
    try:
        wait_until("the page says so", lambda: page_of(VICTIM).body["available"] is False)
        postgres.sql(f"UPDATE products SET price_cents = 777 WHERE sku = '{FINE}'")
        wait_until("other prices change", lambda: page_of(FINE).body["price_cents"] == 777)
        assert page_of(VICTIM).body["price_cents"] == 500
        assert page_of(FINE).body["available"] is True
        shop.front.stop()
        shop.front.start()
        assert page_of(VICTIM).body["price_cents"] == 500
        assert shop.status()["components"]["browse"] == "up"
    finally:
        damaged.repair()
    wait_until("it is sold again", lambda: page_of(VICTIM).body["available"] is True)
