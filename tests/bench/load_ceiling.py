"""How much one process of the load can send, beside stock Locust that sends the same in the same minute.

What counts is requests for each second of CPU, since neighbours take time away from both, and not in equal parts.
Trials take turns, and a ratio is the median of the trials' own. Stock is compared in three ways: as people write a
user, one GET a task; at its fastest, GETs in a loop that never leaves the task, with nothing but the status looked
at; and with the shop's pages, carts and orders, each answer checked. Ours always draws shoppers from seeds, begins a
session for each at its time, has each intent on disk before it is sent, and counts by cohort, phase and intended
time.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import msgspec

from tests.bench.load_processes import (
    page_requests_per_cpu_s,
    shop_requests_per_cpu_s,
    static_target,
    stock_requests_per_cpu_s,
)

ROOT = Path(__file__).parents[2]
TRIALS = 3
WANTED = 1.5


class Beside(msgspec.Struct, frozen=True):
    """Requests for a second of CPU, by trial, and the ratio of ours to stock's."""

    what: str
    ours_per_s: tuple[int, ...]
    stock_per_s: tuple[int, ...]
    ratio: float


class Ceiling(msgspec.Struct, frozen=True):
    """Ours beside stock, in each way."""

    beside: tuple[Beside, ...]


def load_ceiling(root: Path) -> Ceiling:
    """Measure it: about two minutes."""
    pages, shop, one_a_task, tight, visits = [], [], [], [], []
    with tempfile.TemporaryDirectory(prefix="crashcart-bench-") as made, static_target(root) as port:
        folder = Path(made)
        for _ in range(TRIALS):
            one_a_task.append(stock_requests_per_cpu_s(root, "OneGetATask", port))
            pages.append(page_requests_per_cpu_s(root, folder, port))
            tight.append(stock_requests_per_cpu_s(root, "TightLoop", port))
            visits.append(stock_requests_per_cpu_s(root, "Visits", port))
            shop.append(shop_requests_per_cpu_s(root, folder, port))
    return Ceiling(
        (
            _beside("one GET a task", pages, one_a_task),
            _beside("GETs in a tight loop", pages, tight),
            _beside("pages, carts and orders, checked", shop, visits),
        )
    )


def ceiling_rows(ceiling: Ceiling) -> list[tuple[str, str, str]]:
    """(what, measured, wanted) for people."""
    return [_row(one) for one in ceiling.beside]


def _beside(what: str, ours: list[float], stock: list[float]) -> Beside:
    ratio = statistics.median(mine / other for mine, other in zip(ours, stock, strict=True))
    return Beside(what, tuple(round(one) for one in ours), tuple(round(one) for one in stock), round(ratio, 2))


def _row(one: Beside) -> tuple[str, str, str]:
    ours, stock = statistics.median(one.ours_per_s), statistics.median(one.stock_per_s)
    told = f"{one.ratio:.2f} × ({ours:,.0f} and {stock:,.0f} requests for a second of CPU)"
    return f"load process beside stock FastHttpUser, {one.what}", told, f"≥ {WANTED:g} ×"


if __name__ == "__main__":
    for row in ceiling_rows(load_ceiling(ROOT)):
        print("  ".join(row))  # noqa: T201 - that is what it is for
