"""What the books say of mails about failed orders: who was told, and who should not have been."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crashcart.loading.truth import read_truth
from tests.unit.judging.shop_books import Books

TRUTH = read_truth(Path(__file__).parents[3] / "stack" / "truth", "stack/truth")
RULE = "no-false-bad-news"
ROWS = """
INSERT INTO orders (order_id, idempotency_key, reference, state)
                   VALUES ('o1', 'k1', 'R-1', 'accepted'), ('o2', 'k2', 'R-2', 'failed'),
                          ('o3', 'k3', 'R-3', 'cancelled_refunded'), ('o4', 'k4', 'R-4', 'rejected_declined');
INSERT INTO mail (t, key, order_id, reference, template)
                VALUES ('2026-01-01 10:00:00Z', 'o1', 'o1', 'R-1', 'order-confirmation'),
                       ('2026-01-01 10:00:01Z', 'o2:failed', 'o2', 'R-2', 'order-failed'),
                       ('2026-01-01 10:00:02Z', 'o3', 'o3', 'R-3', 'order-confirmation'),
                       ('2026-01-01 10:00:03Z', 'o3:cancelled', 'o3', 'R-3', 'order-cancelled'),
                       ('2026-01-01 10:00:04Z', 'o4:failed', 'o4', 'R-4', 'order-failed');
"""


@pytest.fixture
def books() -> Iterator[Books]:
    made = Books(TRUTH)
    for table in ("intents", *TRUTH.sources):
        made.do(f"DELETE FROM {table}")
    made.do(ROWS)
    yield made
    made.database.close()


def test_who_was_written_to_is_told_by_their_key(books: Books) -> None:
    books.share()
    follow_up = TRUTH.follow_up_sql.rstrip().rstrip(";")
    told = books.database.execute(f"SELECT key FROM ({follow_up}) ORDER BY told_at").fetchall()
    assert told == [("k2",), ("k3",), ("k4",)]


def test_books_in_which_only_failed_orders_were_said_to_have_failed_are_right(books: Books) -> None:
    assert books.witnesses(RULE) == []
    assert books.examined(RULE) == 4


@pytest.mark.parametrize(
    ("order_id", "reference", "witness"),
    [
        ("o1", "R-1", ("R-1", "o1", "accepted", 1)),
        ("o2", "R-2", ("R-2", "o2", "failed", 2)),
        ("o9", "R-9", ("R-9", "o9", None, 1)),
    ],
)
def test_bad_news_of_a_good_order_or_twice_or_of_none_is_a_witness(
    books: Books, order_id: str, reference: str, witness: tuple[object, ...]
) -> None:
    books.insert("mail", key="x", order_id=order_id, reference=reference, template="order-failed")
    assert [tuple(row.values()) for row in books.witnesses(RULE)] == [witness]
