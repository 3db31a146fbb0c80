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
from tests.unit.judging.agreed_books import AGREED
from tests.unit.judging.broken_books import BROKEN, TROUBLE
from tests.unit.judging.damaged_books import DAMAGED
from tests.unit.judging.shop_books import Books, at

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


EVERY = [*BROKEN, *DAMAGED, *AGREED]


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


@pytest.mark.parametrize(
    ("why", "sql"),
    [
        ("it was held only afterwards", f"UPDATE holds SET created_at = '{at(20)}' WHERE order_id = 'o3'"),
        ("it had been let go long before", f"UPDATE orders SET created_at = '{at(20)}' WHERE order_id = 'o5'"),
        ("no such order was refused", "UPDATE orders SET state = 'failed' WHERE order_id = 'o5'"),
    ],
)
def test_sold_out_is_not_confirmed_where_a_piece_was_there_when_it_was_said(books: Books, why: str, sql: str) -> None:
    books.intent(5, "sold_out")
    books.order(5, "rejected_sold_out")
    books.do("UPDATE intents SET lines = '[[\"G1\", 9]]' WHERE id = 'k5'")
    books.do(f"UPDATE orders SET finished_at = '{at(9)}' WHERE order_id = 'o5'")
    assert ("k5", "sold_out") in books.confirmed()
    books.do(sql)
    assert ("k5", "sold_out") not in books.confirmed(), why


def test_stock_that_was_made_to_look_like_nothing_confirms_no_sold_out(books: Books) -> None:
    books.intent(5, "sold_out")
    books.do("UPDATE products SET on_hand = 0")
    assert ("k5", "sold_out") not in books.confirmed()


def test_what_became_of_unknown_intents_is_told(books: Books) -> None:
    books.do("UPDATE intents SET outcome = 'unknown' WHERE id IN ('k1', 'k4')")
    books.intent(6, "unknown")
    assert books.confirmed() == {("k1", "ok"), ("k4", "declined")}
