"""What the books say of mails about failed orders: who was told, and who should not have been."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

TRUTH = Path(__file__).parents[3] / "stack" / "truth"
FOLLOW_UP = (TRUTH / "follow-up.sql").read_text(encoding="utf-8")
NO_FALSE_BAD_NEWS = (
    (TRUTH / "invariants" / "no-false-bad-news.sql").read_text(encoding="utf-8").partition("-- examined:")
)
TABLES = """
CREATE TABLE orders (order_id VARCHAR, idempotency_key VARCHAR, reference VARCHAR, state VARCHAR);
CREATE TABLE mail (t TIMESTAMPTZ, key VARCHAR, order_id VARCHAR, reference VARCHAR, template VARCHAR);
INSERT INTO orders VALUES ('o1', 'k1', 'R-1', 'accepted'), ('o2', 'k2', 'R-2', 'failed'),
                          ('o3', 'k3', 'R-3', 'cancelled_refunded'), ('o4', 'k4', 'R-4', 'rejected_declined');
INSERT INTO mail VALUES ('2026-01-01 10:00:00Z', 'o1', 'o1', 'R-1', 'order-confirmation'),
                        ('2026-01-01 10:00:01Z', 'o2:failed', 'o2', 'R-2', 'order-failed'),
                        ('2026-01-01 10:00:02Z', 'o3', 'o3', 'R-3', 'order-confirmation'),
                        ('2026-01-01 10:00:03Z', 'o3:cancelled', 'o3', 'R-3', 'order-cancelled'),
                        ('2026-01-01 10:00:04Z', 'o4:failed', 'o4', 'R-4', 'order-failed');
"""


@pytest.fixture
def books() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(TABLES)
        yield connection


def witnesses(books: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    return books.execute(NO_FALSE_BAD_NEWS[0]).fetchall()


def test_who_was_written_to_is_told_by_their_key(books: duckdb.DuckDBPyConnection) -> None:
    told = books.execute(f"SELECT key FROM ({FOLLOW_UP.rstrip().rstrip(';')}) ORDER BY told_at").fetchall()
    assert told == [("k2",), ("k3",), ("k4",)]


def test_books_in_which_only_failed_orders_were_said_to_have_failed_are_right(books: duckdb.DuckDBPyConnection) -> None:
    assert witnesses(books) == []
    assert books.execute(NO_FALSE_BAD_NEWS[2]).fetchall() == [(4,)]


@pytest.mark.parametrize(
    ("order_id", "reference", "witness"),
    [
        ("o1", "R-1", ("R-1", "o1", "accepted", 1)),
        ("o2", "R-2", ("R-2", "o2", "failed", 2)),
        ("o9", "R-9", ("R-9", "o9", None, 1)),
    ],
)
def test_bad_news_of_a_good_order_or_twice_or_of_none_is_a_witness(
    books: duckdb.DuckDBPyConnection, order_id: str, reference: str, witness: tuple[object, ...]
) -> None:
    books.execute("INSERT INTO mail VALUES (now(), 'x', ?, ?, 'order-failed')", [order_id, reference])
    assert witnesses(books) == [witness]
