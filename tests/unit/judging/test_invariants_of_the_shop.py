"""Each invariant of the reference shop holds for books that are right, and shows its witness for books that are not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from crashcart.judging.shared import make_shared
from crashcart.loading.truth import read_truth
from crashcart.model.truth import Truth
from crashcart.running.collect import LOAD_METRICS, SERVICE_METRICS
from tests.unit.judging.damaged_books import DAMAGED
from tests.unit.judging.shop_books import Books

ROOT = Path(__file__).parents[3]
INVARIANTS = sorted(path.stem for path in (ROOT / "stack/truth/invariants").glob("*.sql"))


@pytest.fixture(scope="module")
def truth() -> Truth:
    return read_truth(ROOT / "stack/truth", "stack/truth")


@pytest.fixture
def books(truth: Truth) -> Iterator[Books]:
    made = Books(truth)
    yield made
    made.database.close()


def test_what_invariants_ask_of_the_shops_own_metrics_is_recorded(truth: Truth) -> None:
    asked = {name for one in truth.invariants for name in re.findall(r"'(\w+_(?:total|state))'", one.sql)}
    assert asked
    assert asked <= {*truth.series, *SERVICE_METRICS, *LOAD_METRICS}


def test_nothing_of_what_is_plainly_right_is_looked_at_row_by_row(books: Books) -> None:
    books.do("DELETE FROM psp_a WHERE entry = 'void'")
    books.share()
    assert books.database.execute("SELECT order_id FROM odd_orders").fetchall() == [("o4",)]
    assert books.database.execute("SELECT id FROM odd_purchases").fetchall() == [("k4",)]


@pytest.mark.parametrize("source", ["charges", "holds", "hold_lines", "mail", "psp_a", "psp_b"])
def test_a_source_that_could_not_be_read_makes_orders_it_tells_of_odd_and_stays_missing(
    books: Books, source: str
) -> None:
    books.do(f"DROP TABLE {source}")
    unmade = make_shared(books.database, books.truth)
    assert set(unmade) == {"odd_entries" if source.startswith("psp") else f"odd_{source}"}
    found = {order for (order,) in books.database.execute("SELECT order_id FROM odd_orders").fetchall()}
    assert found >= ({"o3"} if source == "psp_b" else {"o1", "o2"})
    with pytest.raises(duckdb.CatalogException):
        books.do(f"FROM {source}")


@pytest.mark.parametrize("name", INVARIANTS)
def test_it_holds_for_books_that_are_right_and_has_looked_at_something(books: Books, name: str) -> None:
    assert books.witnesses(name) == []
    assert books.examined(name) >= 1


TROUBLE = """
    INSERT INTO intents (id, outcome, status, problem, sent_s, done_s)
    SELECT 't' || n, 'failed', 503, 'checkout-unavailable', 12.0, 14.5 FROM range(40) AS numbers(n)
"""
BROKEN: list[tuple[str, str, str, dict[str, Any]]] = [
    (
        "no-false-bad-news",
        "a good order was said to have failed",
        "INSERT INTO mail (key, order_id, reference, template) VALUES ('f1', 'o1', 'R-1', 'order-failed')",
        {"reference": "R-1", "state": "accepted"},
    ),
    (
        "no-false-bad-news",
        "bad news came twice",
        "INSERT INTO mail (order_id, reference, template) SELECT 'o4', 'R-4', 'order-failed' FROM range(2)",
        {"reference": "R-4", "mails": 2},
    ),
    ("no-accepted-order-lost", "an order is gone", "DELETE FROM orders WHERE order_id = 'o1'", {"reference": "R-1"}),
    (
        "no-accepted-order-lost",
        "an accepted order was failed",
        "UPDATE orders SET state = 'failed' WHERE order_id = 'o1'",
        {"reference": "R-1", "state": "failed"},
    ),
    (
        "no-accepted-order-lost",
        "another total was booked",
        "UPDATE orders SET total_cents = 99 WHERE order_id = 'o1'",
        {"told_cents": 100, "booked_cents": 99},
    ),
    (
        "no-accepted-order-lost",
        "the shopper was told another order's number",
        "UPDATE intents SET order_id = 'o9' WHERE id = 'k1'",
        {"told_order": "o9", "booked_order": "o1"},
    ),
    (
        "no-order-nobody-asked-for",
        "an order without an intent",
        "DELETE FROM intents WHERE id = 'k2'",
        {"reference": "R-2"},
    ),
    (
        "no-order-nobody-asked-for",
        "an order that was never sent",
        "UPDATE intents SET sent_s = NULL WHERE id = 'k2'",
        {"reference": "R-2"},
    ),
    (
        "no-order-nobody-asked-for",
        "an order of which its shopper never heard, for another sum than was sent",
        "UPDATE intents SET outcome = 'unknown', order_id = NULL, total_cents = 99 WHERE id = 'k1'",
        {"reference": "R-1", "asked_cents": 99, "booked_cents": 100},
    ),
    (
        "no-order-nobody-asked-for",
        "an order on another card than was sent",
        "UPDATE intents SET network = 'amex' WHERE id = 'k1'",
        {"reference": "R-1", "asked_network": "amex", "booked_network": None},
    ),
    (
        "no-double-order",
        "one key, two orders",
        "INSERT INTO orders (order_id, idempotency_key, state) VALUES ('o9', 'k1', 'accepted')",
        {"idempotency_key": "k1", "times": 2, "order_ids": ["o1", "o9"]},
    ),
    (
        "no-double-charge",
        "two processors captured one order",
        "INSERT INTO psp_b (entry, key, order_id, reference, amount_cents) VALUES ('charge', 'x', 'o1', 'R-1', 100)",
        {"reference": "R-1", "captures": 2, "charged_cents": 200, "charges": ["psp-a psp_a-1", "psp-b x"]},
    ),
    (
        "no-double-charge",
        "one processor captured one order twice",
        "INSERT INTO psp_a (entry, key, order_id, reference, amount_cents) VALUES ('charge', 'x', 'o1', 'R-1', 100)",
        {"captures": 2},
    ),
    (
        "no-charge-without-order",
        "a declined order was charged",
        "INSERT INTO psp_b (entry, key, order_id, reference, amount_cents) VALUES ('charge', 'x', 'o4', 'R-4', 100)",
        {"reference": "R-4", "charged_cents": 100, "state": "rejected_declined"},
    ),
    (
        "no-charge-without-order",
        "an order that does not exist was charged",
        "INSERT INTO psp_b (entry, key, order_id, reference, amount_cents) VALUES ('charge', 'x', 'o9', 'R-9', 100)",
        {"reference": "R-9", "state": None},
    ),
    (
        "captured-equals-total",
        "an accepted order was never charged",
        "DELETE FROM psp_a WHERE order_id = 'o1'",
        {"reference": "R-1", "total_cents": 100, "captured_cents": 0},
    ),
    (
        "captured-equals-total",
        "an accepted order was charged too little",
        "UPDATE psp_a SET amount_cents = 60 WHERE order_id = 'o1'",
        {"captured_cents": 60},
    ),
    (
        "captured-equals-total",
        "an accepted order was refunded",
        "INSERT INTO psp_a (entry, key, order_id, amount_cents) VALUES ('refund', 'psp_a-1', 'o1', 100)",
        {"captured_cents": 0},
    ),
    (
        "payments-agree-with-ledgers",
        "payments forgot a capture",
        "UPDATE charges SET state = 'not_charged' WHERE key = 'k1'",
        {"reference": "R-1", "processor": "psp-a", "believed_cents": 0, "ledger_cents": 100},
    ),
    (
        "payments-agree-with-ledgers",
        "payments believes in a capture that never was",
        "DELETE FROM psp_a WHERE order_id = 'o2'",
        {"order_id": "o2", "believed_cents": 100, "ledger_cents": 0},
    ),
    (
        "stock-adds-up",
        "stock was clamped",
        "UPDATE products SET on_hand = 10 WHERE sku = 'G1'",
        {"sku": "G1", "on_hand": 10, "too_many": 1},
    ),
    (
        "stock-adds-up",
        "a hold's lines are gone",
        "DELETE FROM hold_lines WHERE order_id = 'o1'",
        {"too_many": -1},
    ),
    (
        "stock-adds-up",
        "what was sold is no product",
        "INSERT INTO hold_lines (order_id, sku, quantity) VALUES ('o1', 'G9', 2)",
        {"sku": "G9", "confirmed": 2, "on_hand": None},
    ),
    (
        "accepted-orders-have-their-stock",
        "an accepted order's hold expired",
        "UPDATE holds SET state = 'expired' WHERE order_id = 'o1'",
        {"reference": "R-1", "hold_state": "expired"},
    ),
    (
        "accepted-orders-have-their-stock",
        "an accepted order has no hold",
        "DELETE FROM holds WHERE order_id = 'o1'",
        {"hold_state": None},
    ),
    (
        "accepted-orders-have-their-stock",
        "less was taken than was bought",
        "UPDATE intents SET lines = '[[\"G1\",3]]' WHERE id = 'k1'",
        {"reference": "R-1", "sku": "G1", "bought": 3, "taken": 1},
    ),
    (
        "accepted-orders-have-their-stock",
        "nothing was taken of one line of the order",
        "UPDATE intents SET lines = '[[\"G1\",1],[\"G2\",1]]' WHERE id = 'k1'",
        {"reference": "R-1", "sku": "G2", "bought": 1, "taken": None},
    ),
    (
        "accepted-orders-have-their-stock",
        "something was taken that was not bought",
        "INSERT INTO hold_lines (order_id, sku, quantity) VALUES ('o1', 'G2', 1)",
        {"reference": "R-1", "sku": "G2", "bought": None, "taken": 1},
    ),
    (
        "accepted-orders-have-their-stock",
        "stock was taken for a declined order",
        "UPDATE holds SET state = 'confirmed' WHERE order_id = 'o4'",
        {"reference": "R-4", "order_state": "rejected_declined"},
    ),
    (
        "no-order-left-unfinished",
        "an order hangs",
        "UPDATE orders SET state = 'payment_unknown' WHERE order_id = 'o4'",
        {"reference": "R-4", "state": "payment_unknown"},
    ),
    ("accepted-orders-told-once", "no mail was sent", "DELETE FROM mail WHERE order_id = 'o1'", {"mails": 0}),
    (
        "accepted-orders-told-once",
        "two mails were sent",
        "INSERT INTO mail (key, order_id, template) VALUES ('m9', 'o1', 'order-confirmation')",
        {"reference": "R-1", "mails": 2},
    ),
    (
        "no-mail-without-order",
        "a declined order was confirmed by mail",
        "INSERT INTO mail (key, order_id, reference, template) VALUES ('m4', 'o4', 'R-4', 'order-confirmation')",
        {"reference": "R-4", "state": "rejected_declined"},
    ),
    (
        "no-mail-without-order",
        "mail for an order that does not exist",
        "INSERT INTO mail (key, order_id, reference, template) VALUES ('m9', 'o9', 'R-9', 'order-confirmation')",
        {"reference": "R-9", "state": None},
    ),
    (
        "a-no-is-a-no",
        "an order that definitely failed was accepted",
        "UPDATE intents SET outcome = 'failed' WHERE id = 'k1'",
        {"reference": "R-1", "told": "failed", "state": "accepted"},
    ),
    (
        "a-no-is-a-no",
        "a declined order was accepted",
        "UPDATE orders SET state = 'accepted' WHERE order_id = 'o4'",
        {"reference": "R-4", "told": "declined"},
    ),
    (
        "no-false-bad-news",
        "a good order was said to have been cancelled",
        "INSERT INTO mail (key, order_id, reference, template) VALUES ('f1', 'o1', 'R-1', 'order-cancelled')",
        {"reference": "R-1", "state": "accepted"},
    ),
    (
        "no-double-charge",
        "of a second charge only a part was handed back",
        """INSERT INTO psp_b (entry, key, order_id, amount_cents)
           VALUES ('charge', 'x', 'o1', 100), ('refund', 'x', 'o1', 1)""",
        {"captures": 2, "charged_cents": 199},
    ),
    (
        "no-charge-without-order",
        "a charge for no order is set off against a refund for none",
        "INSERT INTO psp_b (entry, key, amount_cents) VALUES ('charge', 'x', 100), ('refund', 'y', 100)",
        {"order_id": None, "charged_cents": 100},
    ),
    (
        "no-charge-without-order",
        "a declined order was charged nobody knows how much",
        "INSERT INTO psp_b (entry, key, order_id, reference) VALUES ('charge', 'x', 'o4', 'R-4')",
        {"reference": "R-4", "state": "rejected_declined"},
    ),
    (
        "payments-agree-with-ledgers",
        "payments believes in a capture of nobody knows how much",
        "INSERT INTO charges (key, order_id, state, processor) VALUES ('x', 'o4', 'captured', 'psp-b')",
        {"order_id": "o4", "believed_cents": None},
    ),
    (
        "stock-adds-up",
        "more was sold than there was, and it adds up",
        "UPDATE products SET initial = 0, on_hand = -1 WHERE sku = 'G1'",
        {"sku": "G1", "on_hand": -1, "too_many": 0},
    ),
    (
        "stock-adds-up",
        "nobody knows how much there was nor how much is left",
        "UPDATE products SET initial = NULL, on_hand = NULL WHERE sku = 'G1'",
        {"sku": "G1", "on_hand": None},
    ),
    (
        "retries-keep-to-their-budget",
        "most calls of a link are repeats",
        "UPDATE recording.series SET value = 900 WHERE metric = 'link_retries_total' AND value > 0",
        {"link": "checkout.payments", "client": "checkout[0]", "calls": 1200, "asked_again": 900},
    ),
    (
        "retries-keep-to-their-budget",
        "a client that was started again had asked again and again before",
        """UPDATE recording.series SET value = 700 WHERE metric = 'link_retries_total' AND value > 0;
           INSERT INTO recording.series FROM recording.series
           SELECT metric, labels, t + 10, 20 WHERE metric = 'link_retries_total' AND value > 0""",
        {"link": "checkout.payments", "asked_again": 720},
    ),
    (
        "failures-are-counted",
        "failures were counted as successes",
        """UPDATE recording.series SET value = 0 WHERE labels LIKE '%5xx%' OR labels LIKE '%4xx%'""",
        {"service": "storefront", "answered": 500, "counted": 0},
    ),
    (
        "failures-are-counted",
        "a good part of the failures was not counted",
        """UPDATE recording.series SET value = 300 WHERE labels LIKE '%5xx%' AND value > 0""",
        {"answered": 500, "counted": 350},
    ),
    ("status-tells-of-trouble", "all is well, and nobody can order", TROUBLE, {"ended": 40, "failed": 40}),
]
EVERY = [*BROKEN, *DAMAGED]


@pytest.mark.parametrize(
    ("name", "story", "sql", "expected"), EVERY, ids=[f"{name}: {story}" for name, story, _, _ in EVERY]
)
def test_it_shows_the_witness(books: Books, name: str, story: str, sql: str, expected: dict[str, Any]) -> None:
    books.do(sql)
    witnesses = books.witnesses(name)
    assert len(witnesses) == 1
    assert {key: witnesses[0][key] for key in expected} == expected


def test_what_nobody_can_read_of_a_purchase_makes_its_order_odd(books: Books) -> None:
    books.do("UPDATE intents SET lines = 'nonsense' WHERE id = 'k1'")
    books.do("DELETE FROM hold_lines WHERE order_id = 'o1'")
    with pytest.raises(duckdb.ConversionException):
        books.witnesses("accepted-orders-have-their-stock")


def test_payments_that_name_the_wrong_processor_are_wrong_of_both(books: Books) -> None:
    books.do("UPDATE charges SET processor = 'psp-b' WHERE key = 'k1'")
    witnesses = books.witnesses("payments-agree-with-ledgers")
    assert sorted((row["reference"], row["processor"]) for row in witnesses) == [("R-1", "psp-a"), ("R-1", "psp-b")]


def test_an_order_that_is_there_twice_in_every_book_and_in_the_diary_is_seen(books: Books) -> None:
    for table in ("intents", "orders", "charges", "holds", "hold_lines", "psp_a", "mail"):
        books.do(f"INSERT INTO {table} FROM {table} WHERE order_id = 'o1'")
    twice = {(row["what"], row["order_id"], row["times"]) for row in books.witnesses("nothing-booked-twice")}
    assert twice == {(what, "o1", 2) for what in ("order", "charge", "hold", "line of a hold")}
    assert [row["order_id"] for row in books.witnesses("no-double-charge")] == ["o1"]


def test_every_invariant_can_fail() -> None:
    assert {one[0] for one in EVERY} == set(INVARIANTS)


@pytest.mark.parametrize(
    ("why", "sql"),
    [
        (
            "the page said so at the time",
            "UPDATE recording.series SET value = 0 WHERE labels LIKE '%checkout\"%' AND t = 10",
        ),
        (
            "the page said so soon",
            "UPDATE recording.series SET t = 17, value = 0.5 WHERE labels LIKE '%payments%' AND t = 20",
        ),
        ("most were told that the shop was full", "UPDATE intents SET problem = 'overloaded' WHERE id LIKE 't%'"),
        ("most came through", "UPDATE intents SET outcome = 'ok', status = 201 WHERE id LIKE 't1%' OR id LIKE 't2%'"),
    ],
)
def test_the_status_page_has_nothing_to_answer_for_where(books: Books, why: str, sql: str) -> None:
    books.do(TROUBLE)
    books.do(sql)
    assert books.witnesses("status-tells-of-trouble") == [], why


def test_a_page_that_says_trouble_about_something_else_alone_is_none_about_orders(books: Books) -> None:
    books.do(TROUBLE)
    books.do("UPDATE recording.series SET value = 0.5 WHERE labels LIKE '%browse%'")
    assert len(books.witnesses("status-tells-of-trouble")) == 1


def test_repeats_within_the_budget_are_in_order_and_few_calls_may_all_be_repeats(books: Books) -> None:
    books.do("UPDATE recording.series SET value = 290 WHERE metric = 'link_retries_total' AND value > 0")
    assert books.witnesses("retries-keep-to-their-budget") == []


def test_an_order_that_is_still_on_its_way_is_no_charge_without_order(books: Books) -> None:
    books.do("UPDATE orders SET state = 'payment_unknown' WHERE order_id = 'o1'")
    assert books.witnesses("no-charge-without-order") == []
    assert len(books.witnesses("no-order-left-unfinished")) == 1


def test_a_charge_that_was_handed_back_and_made_elsewhere_is_one_charge(books: Books) -> None:
    books.entry("psp_a", 3, "charge", key="late")
    books.entry("psp_a", 3, "void", key="late")
    assert books.witnesses("no-double-charge") == []
    assert books.witnesses("captured-equals-total") == []


def test_a_decline_is_confirmed_by_the_processors_own_ledger_alone(books: Books) -> None:
    assert books.confirmed() == {("k4", "declined")}
    books.do("DELETE FROM psp_a WHERE entry = 'decline'")
    assert books.confirmed() == set()


def test_a_decline_for_which_money_was_kept_is_not_confirmed(books: Books) -> None:
    books.entry("psp_b", 4, "charge")
    assert books.confirmed() == set()


def test_sold_out_is_confirmed_where_every_piece_was_spoken_for(books: Books) -> None:
    books.intent(5, "sold_out")
    books.order(5, "rejected_sold_out")
    assert ("k5", "sold_out") not in books.confirmed()
    books.do("UPDATE intents SET lines = '[[\"G1\", 9]]' WHERE id = 'k5'")
    assert ("k5", "sold_out") in books.confirmed()


def test_stock_that_was_made_to_look_like_nothing_confirms_no_sold_out(books: Books) -> None:
    books.intent(5, "sold_out")
    books.do("UPDATE products SET on_hand = 0")
    assert ("k5", "sold_out") not in books.confirmed()


def test_what_became_of_unknown_intents_is_told(books: Books) -> None:
    books.do("UPDATE intents SET outcome = 'unknown' WHERE id IN ('k1', 'k4')")
    books.intent(6, "unknown")
    assert books.confirmed() == {("k1", "ok"), ("k4", "declined")}
