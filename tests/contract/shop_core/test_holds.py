"""Holds on stock: nothing is sold twice, nothing is lost, everything may be asked twice."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import uuid4

from tests.contract.shop_core.servers import Answer, PostgresServer, ServiceProcess, wait_until

BOOKS = """
SELECT p.sku FROM products p LEFT JOIN hold_lines l USING (sku) LEFT JOIN holds h USING (order_id)
GROUP BY p.sku HAVING p.initial + p.restocked
    - coalesce(sum(l.quantity) FILTER (WHERE h.state IN ('held', 'confirmed')), 0) <> p.on_hand
"""


def hold(inventory: ServiceProcess, order_id: str, ttl_s: float = 60, **lines: int) -> Answer:
    wanted = [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()]
    return inventory.call("POST", "/holds", {"order_id": order_id, "lines": wanted, "ttl_s": ttl_s}, key=order_id)


def ask(inventory: ServiceProcess, what: str, *order_ids: str, **more: object) -> Answer:
    return inventory.call("POST", f"/holds/{what}", {"order_ids": list(order_ids), **more})


def on_hand(postgres: PostgresServer, sku: str) -> int:
    return int(postgres.sql(f"SELECT on_hand FROM products WHERE sku = '{sku}'"))


def state(postgres: PostgresServer, order_id: str) -> str:
    return postgres.sql(f"SELECT state FROM holds WHERE order_id = '{order_id}'")


def insist(call: Callable[[], Answer]) -> Answer:
    """Ask again while the machine is too busy to answer in time, which is safe."""
    until = time.monotonic() + 60
    while (answer := call()).status == 503 and time.monotonic() < until:
        assert answer.body["safe_to_retry"] is True
    return answer


def an_order() -> str:
    return str(uuid4())


def test_a_hold_takes_all_its_lines_or_none(inventory: ServiceProcess, postgres: PostgresServer) -> None:
    held = hold(inventory, an_order(), G00001=2, P0001=1)
    refused = hold(inventory, an_order(), G00001=2, G00003=1)

    assert (held.status, refused.status) == (201, 409)
    assert refused.body["type"] == "/problems/sold-out"
    assert refused.body["skus"] == ["G00003"]
    assert refused.body["safe_to_retry"] is False
    assert (on_hand(postgres, "G00001"), on_hand(postgres, "P0001")) == (998, 4)


def test_a_product_that_does_not_exist_is_sold_out(inventory: ServiceProcess) -> None:
    assert hold(inventory, an_order(), G99999=1).body["skus"] == ["G99999"]


def test_the_same_hold_asked_twice_is_one_hold(inventory: ServiceProcess, postgres: PostgresServer) -> None:
    order = an_order()

    first, second = hold(inventory, order, G00001=2), hold(inventory, order, G00001=2)

    assert (first.status, second.status) == (201, 201)
    assert first.body == second.body
    assert on_hand(postgres, "G00001") == 998


def test_the_same_order_with_other_lines_is_refused(inventory: ServiceProcess, postgres: PostgresServer) -> None:
    order = an_order()
    hold(inventory, order, G00001=2)

    other = hold(inventory, order, G00001=3)

    assert (other.status, other.body["type"]) == (422, "/problems/idempotency-key-reused")
    assert on_hand(postgres, "G00001") == 998


def test_fifty_buyers_of_the_last_five_leave_none_over_and_none_short(
    inventory: ServiceProcess, postgres: PostgresServer
) -> None:
    with ThreadPoolExecutor(50) as buyers:
        orders = [an_order() for _ in range(50)]
        answers = list(buyers.map(lambda order: insist(lambda: hold(inventory, order, P0001=1)), orders))

    assert Counter(answer.status for answer in answers) == {201: 5, 409: 45}
    assert on_hand(postgres, "P0001") == 0
    assert postgres.sql(BOOKS) == ""


def test_the_same_hold_at_once_gets_one_answer_even_for_the_last_pieces(
    inventory: ServiceProcess, postgres: PostgresServer
) -> None:
    for _ in range(10):
        order = an_order()
        with ThreadPoolExecutor(8) as senders:
            answers = list(senders.map(insist, [partial(hold, inventory, order, P0001=5)] * 8))

        assert {answer.status for answer in answers} == {201}
        assert on_hand(postgres, "P0001") == 0
        ask(inventory, "release", order)


def test_baskets_that_overlap_in_every_order_never_deadlock(
    inventory: ServiceProcess, postgres: PostgresServer
) -> None:
    draw = random.Random(1)
    postgres.sql(
        "INSERT INTO products SELECT 'X' || n, 'x', 1, 'general', n, 500, 0, 500 FROM generate_series(5, 12) n"
    )

    before = len(inventory.log.read_text())

    def buy(number: int) -> tuple[int, int]:
        order, other = an_order(), an_order()
        lines = dict.fromkeys(draw.sample([f"X{n}" for n in range(5, 13)], 4), 1)
        settle = ("confirm", "release", "release", "extend")[number % 4]
        held = insist(lambda: hold(inventory, order, **lines))
        settled = insist(lambda: ask(inventory, settle, order, other, ttl_s=60))
        return held.status, settled.status

    with ThreadPoolExecutor(24) as buyers:
        statuses = Counter(buyers.map(buy, range(300)))

    assert statuses == {(201, 200): 300}
    assert postgres.sql(BOOKS) == ""
    assert "40P01" not in inventory.log.read_text()[before:]


def test_a_released_hold_gives_its_stock_back_once(inventory: ServiceProcess, postgres: PostgresServer) -> None:
    order = an_order()
    hold(inventory, order, P0001=3)

    assert ask(inventory, "release", order).status == ask(inventory, "release", order).status == 200

    assert on_hand(postgres, "P0001") == 5


def test_a_release_that_overtakes_its_hold_keeps_the_hold_out(
    inventory: ServiceProcess, postgres: PostgresServer
) -> None:
    order = an_order()
    ask(inventory, "release", order)

    late = hold(inventory, order, P0001=1)

    assert (late.status, late.body["type"]) == (409, "/problems/hold-ended")
    assert on_hand(postgres, "P0001") == 5


def test_a_release_racing_its_hold_never_leaves_stock_held(inventory: ServiceProcess, postgres: PostgresServer) -> None:
    for _ in range(20):
        order = an_order()
        with ThreadPoolExecutor(2) as race:
            holding = race.submit(hold, inventory, order, P0001=1)
            releasing = race.submit(ask, inventory, "release", order)
            assert releasing.result().status == 200
            assert holding.result().status in {201, 409}

        assert state(postgres, order) == "released"
    assert on_hand(postgres, "P0001") == 5


def test_a_confirmed_hold_is_sold_and_stays_sold(inventory: ServiceProcess, postgres: PostgresServer) -> None:
    order = an_order()
    hold(inventory, order, P0001=2)

    first, second = ask(inventory, "confirm", order), ask(inventory, "confirm", order)
    ask(inventory, "release", order)

    assert first.body == second.body == {"confirmed": [order], "gone": []}
    assert on_hand(postgres, "P0001") == 3
    assert state(postgres, order) == "confirmed"


def test_confirming_a_batch_says_which_are_gone(inventory: ServiceProcess) -> None:
    held, released, unknown = an_order(), an_order(), an_order()
    hold(inventory, held, G00001=1)
    hold(inventory, released, G00001=1)
    ask(inventory, "release", released)

    answer = ask(inventory, "confirm", held, released, unknown)

    assert answer.body["confirmed"] == [held]
    assert set(answer.body["gone"]) == {released, unknown}
    assert hold(inventory, unknown, G00001=1).status == 409


def test_a_hold_that_has_expired_returns_its_stock(inventory: ServiceProcess, postgres: PostgresServer) -> None:
    order = an_order()
    hold(inventory, order, ttl_s=0.05, P0001=5)

    wait_until("the hold expires", lambda: state(postgres, order) == "expired")

    assert on_hand(postgres, "P0001") == 5


def test_confirming_an_expired_hold_takes_the_stock_again_if_it_is_there(
    inventory: ServiceProcess, postgres: PostgresServer
) -> None:
    order = an_order()
    hold(inventory, order, ttl_s=0.05, P0001=4, G00001=1)
    wait_until("the hold expires", lambda: state(postgres, order) == "expired")

    assert ask(inventory, "confirm", order).body == {"confirmed": [order], "gone": []}

    assert (on_hand(postgres, "P0001"), on_hand(postgres, "G00001")) == (1, 999)
    assert postgres.sql(BOOKS) == ""


def test_confirming_an_expired_hold_whose_stock_is_sold_says_gone_for_good(
    inventory: ServiceProcess, postgres: PostgresServer
) -> None:
    late, quick = an_order(), an_order()
    hold(inventory, late, ttl_s=0.05, P0001=4, G00001=1)
    wait_until("the hold expires", lambda: state(postgres, late) == "expired")
    hold(inventory, quick, P0001=2)

    assert ask(inventory, "confirm", late).body == {"confirmed": [], "gone": [late]}
    ask(inventory, "release", quick)
    assert ask(inventory, "confirm", late).body == {"confirmed": [], "gone": [late]}

    assert (on_hand(postgres, "P0001"), on_hand(postgres, "G00001")) == (5, 1000)


def test_an_extended_hold_outlives_its_first_end(inventory: ServiceProcess, postgres: PostgresServer) -> None:
    kept, left, ended = an_order(), an_order(), an_order()
    hold(inventory, kept, ttl_s=0.6, G00001=1)
    ask(inventory, "release", ended)

    extended = ask(inventory, "extend", kept, ended, ttl_s=60)
    hold(inventory, left, ttl_s=0.6, G00001=1)
    wait_until("the other hold expires", lambda: state(postgres, left) == "expired")

    assert list(extended.body["extended"]) == [kept]
    assert extended.body["gone"] == [ended]
    assert state(postgres, kept) == "held"


def test_bad_holds_are_refused_with_what_would_be_right(inventory: ServiceProcess) -> None:
    lines = [{"sku": "G00001", "quantity": 1}]
    bad: list[object] = [
        [],
        {"lines": lines, "ttl_s": 1},
        {"order_id": "x", "lines": lines, "ttl_s": 1},
        {"order_id": an_order(), "lines": [], "ttl_s": 1},
        {"order_id": an_order(), "lines": lines * 2, "ttl_s": 1},
        {"order_id": an_order(), "lines": [{"sku": "G00001", "quantity": 0}], "ttl_s": 1},
        {"order_id": an_order(), "lines": [{"sku": "G00001", "quantity": True}], "ttl_s": 1},
        {"order_id": an_order(), "lines": [{"sku": "G\x001", "quantity": 1}], "ttl_s": 1},
        {"order_id": an_order(), "lines": lines, "ttl_s": 0},
        {"order_id": an_order(), "lines": lines, "ttl_s": "soon"},
    ]

    answers = [inventory.call("POST", "/holds", body) for body in bad]

    assert {answer.status for answer in answers} == {400}
    assert {answer.body["safe_to_retry"] for answer in answers} == {False}
