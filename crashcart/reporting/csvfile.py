"""`failed-orders.csv`: everyone whose purchase failed, for who has to write to them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from crashcart.model.verdict import FailedOrder
from crashcart.reporting import words
from crashcart.reporting.files import write_text

_COLUMNS = ("reference", "intent", "planned_s", "outcome", "problem", "total_cents", "told_after_s")
_FORMULAS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula, wide forms included."""
_LONGEST = 1000


def write_failed_orders(path: Path, orders: Sequence[FailedOrder]) -> Path:
    """Write it whole or not at all; a head without rows where no order failed."""
    return write_text(path, failed_orders_csv(orders))


def failed_orders_csv(orders: Sequence[FailedOrder]) -> str:
    """One row an order, with a column for each dimension of its cohorts. Text from the shop is made harmless."""
    dimensions = sorted({dimension for order in orders for dimension in order.cohorts})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_COLUMNS, *(_harmless(dimension) for dimension in dimensions)])
    for order in orders:
        writer.writerow([*_cells(order), *(_harmless(order.cohorts.get(name, "")) for name in dimensions)])
    return out.getvalue()


def _cells(order: FailedOrder) -> Iterable[object]:
    yield _harmless(order.reference)
    yield _harmless(order.intent)
    yield f"{order.planned_s:.3f}"
    yield _harmless(order.outcome)
    yield _harmless(order.problem)
    yield "" if order.total_cents is None else order.total_cents
    yield "" if order.told_after_s is None else f"{order.told_after_s:.3f}"


def _harmless(text: str) -> str:
    """Without control characters, and with a quote before what a spreadsheet would run."""
    shown = words.clean(text, longest=_LONGEST)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULAS) else shown
