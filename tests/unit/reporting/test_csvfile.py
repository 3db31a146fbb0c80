from __future__ import annotations

import csv
import io

import pytest

from crashcart.model.verdict import FailedOrder
from crashcart.reporting.csvfile import failed_orders_csv
from tests.unit.reporting.stories import HOSTILE


def order(**changed: object) -> FailedOrder:
    values: dict[str, object] = {
        "intent": "key-1",
        "reference": "R-0000000001",
        "planned_s": 31.25,
        "cohorts": {"region": "north", "network": "visa"},
        "outcome": "failed",
        "problem": "payment-unavailable",
        "total_cents": 4500,
        "told_after_s": 2.5,
    }
    return FailedOrder(**{**values, **changed})  # type: ignore[arg-type]


def read(*orders: FailedOrder) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(failed_orders_csv(orders))))


def test_a_row_has_who_what_and_when_they_were_told() -> None:
    (row,) = read(order())
    assert row == {
        "reference": "R-0000000001",
        "intent": "key-1",
        "planned_s": "31.250",
        "outcome": "failed",
        "problem": "payment-unavailable",
        "total_cents": "4500",
        "told_after_s": "2.500",
        "network": "visa",
        "region": "north",
    }


def test_who_was_not_told_has_an_empty_cell() -> None:
    (row,) = read(order(told_after_s=None, total_cents=None))
    assert (row["told_after_s"], row["total_cents"]) == ("", "")


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\uff1d1"])
def test_no_cell_of_the_shop_s_is_a_formula(formula: str) -> None:
    (row,) = read(order(problem=formula, reference=formula, cohorts={"region": formula}))
    assert all(row[name].startswith("'") for name in ("problem", "reference", "region"))


def test_text_from_the_shop_cannot_begin_a_row() -> None:
    rows = read(order(problem='x\n"y",z\r\n' + HOSTILE), order())
    assert len(rows) == 2
    assert rows[1]["problem"] == "payment-unavailable"


def test_without_a_failed_order_there_is_a_head_alone() -> None:
    assert failed_orders_csv(()) == "reference,intent,planned_s,outcome,problem,total_cents,told_after_s\n"
