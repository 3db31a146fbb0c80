"""The inventory while its database is slow, silent, cut off or restarted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from tests.contract.shop_core.servers import Answer, PostgresServer, Proxy, ServiceProcess, wait_until

RECOVERED_WITHIN_S = 3.0


def hold(inventory: ServiceProcess, deadline_ms: int = 4000, order_id: str | None = None) -> Answer:
    order = order_id or str(uuid4())
    body = {"order_id": order, "lines": [{"sku": "G00001", "quantity": 1}], "ttl_s": 60}
    return inventory.call("POST", "/holds", body, key=order, headers={"X-Deadline-Ms": str(deadline_ms)})


def works(inventory: ServiceProcess) -> bool:
    return hold(inventory).status == 201


def assert_honest(answer: Answer) -> None:
    assert answer.status == 503
    assert answer.body["type"] == "/problems/inventory-unavailable"
    assert answer.body["safe_to_retry"] is True
    assert answer.body["reference"] == answer.headers["x-reference"]


@pytest.fixture(autouse=True)
def healed(inventory: ServiceProcess, inventory_link: Proxy) -> Iterator[None]:
    yield
    inventory_link.heal()
    wait_until("holds work again", lambda: works(inventory))


def books_balance(postgres: PostgresServer) -> bool:
    held = int(postgres.sql("SELECT count(*) FROM holds WHERE state = 'held'"))
    return int(postgres.sql("SELECT on_hand FROM products WHERE sku = 'G00001'")) == 1000 - held


def test_a_database_that_is_cut_off_is_said_and_used_again_as_soon_as_it_is_back(
    inventory: ServiceProcess, inventory_link: Proxy, postgres: PostgresServer
) -> None:
    inventory_link.down()
    wait_until("the loss is noticed", lambda: not works(inventory))

    assert_honest(hold(inventory))
    assert inventory.is_ready()
    assert inventory.call("GET", "/livez").status == 200

    inventory_link.up()
    wait_until("holds work again", lambda: works(inventory), RECOVERED_WITHIN_S)
    assert books_balance(postgres)


def test_a_hold_in_doubt_that_is_asked_again_is_one_hold(
    inventory: ServiceProcess, inventory_link: Proxy, postgres: PostgresServer
) -> None:
    order = str(uuid4())
    inventory_link.silence()
    in_doubt = hold(inventory, deadline_ms=300, order_id=order)
    inventory_link.heal()
    wait_until("it is answered", lambda: hold(inventory, order_id=order).status == 201, RECOVERED_WITHIN_S)

    assert_honest(in_doubt)
    assert in_doubt.body["done"] is None
    assert postgres.sql(f"SELECT count(*) FROM hold_lines WHERE order_id = '{order}'") == "1"
    assert books_balance(postgres)


def test_many_buyers_on_a_slow_link_each_get_an_answer_by_their_deadline(
    inventory: ServiceProcess, inventory_link: Proxy, postgres: PostgresServer
) -> None:
    inventory_link.latency(300)
    with ThreadPoolExecutor(60) as buyers:
        answers = list(buyers.map(lambda _: hold(inventory, deadline_ms=2000), range(60)))

    assert {answer.status for answer in answers} <= {201, 503}
    assert sum(answer.status == 201 for answer in answers) >= 20
    for answer in answers:
        if answer.status == 503:
            assert_honest(answer)
    inventory_link.heal()
    wait_until("the books balance", lambda: books_balance(postgres))


def test_a_database_that_crashes_and_comes_back_is_used_again(
    inventory: ServiceProcess, postgres: PostgresServer
) -> None:
    assert works(inventory)
    postgres.kill()
    wait_until("the loss is noticed", lambda: not works(inventory))
    postgres.start()

    wait_until("holds work again", lambda: works(inventory), RECOVERED_WITHIN_S)
    assert books_balance(postgres)


def test_told_to_stop_it_ends_well_even_without_its_database(inventory_link: Proxy, inventory: ServiceProcess) -> None:
    inventory_link.down()
    wait_until("the loss is noticed", lambda: not works(inventory))

    assert inventory.stop() == 0

    inventory_link.up()
    inventory.start()
