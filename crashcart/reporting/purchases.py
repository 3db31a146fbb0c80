"""Single purchases that somebody may want to look up: the slowest, and those that failed, by problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import duckdb
import msgspec

from crashcart.model.verdict import FailedOrder
from crashcart.recorder import relation

MOST_SHOWN = 50
"""Failed orders on the page; `failed-orders.csv` has all of them."""
_SLOWEST = 10


class Slow(msgspec.Struct, frozen=True):
    """A purchase that was answered late."""

    reference: str
    planned_s: float
    phase: str
    latency_ms: float
    """From the intended click to the last answer."""
    outcome: str
    attempts: int
    problem: str


class Problem(msgspec.Struct, frozen=True):
    """Failed orders that were told the same."""

    name: str
    """What the shop said; empty where it said nothing."""
    outcomes: dict[str, int]
    orders: tuple[FailedOrder, ...]
    """In order of time."""

    @property
    def told(self) -> int:
        """How many of the shoppers were written to."""
        return sum(order.told_after_s is not None for order in self.orders)


def slowest(recording: Path) -> tuple[Slow, ...]:
    """The slowest purchases that were sent, slowest first, whatever became of them."""
    source = relation(recording, "intents")
    if source is None:
        return ()
    query = f"""
        SELECT coalesce(reference, ''), planned_s, phase, latency_ms, outcome, coalesce(attempts, 0)::BIGINT,
               coalesce(problem, '')
        FROM ({source}) WHERE latency_ms IS NOT NULL AND sent_s IS NOT NULL
        ORDER BY latency_ms DESC, id LIMIT {_SLOWEST}
    """  # noqa: S608 - ours; the path is quoted
    with duckdb.connect(config={"autoinstall_known_extensions": "false", "threads": "2"}) as connection:
        return tuple(Slow(*row) for row in connection.execute(query).fetchall())


def by_problem(orders: Sequence[FailedOrder]) -> tuple[Problem, ...]:
    """The most frequent problem first."""
    groups: dict[tuple[str, str], list[FailedOrder]] = {}
    for order in sorted(orders, key=lambda one: (one.planned_s, one.intent)):
        groups.setdefault((order.problem, "" if order.problem else order.outcome), []).append(order)
    problems = [
        Problem(name, dict(Counter(order.outcome for order in found)), tuple(found))
        for (name, _), found in groups.items()
    ]
    return tuple(sorted(problems, key=lambda one: (-len(one.orders), one.name)))


def chosen(problems: Sequence[Problem], most: int = MOST_SHOWN) -> tuple[FailedOrder, ...]:
    """At most so many, of each problem its first ones: a frequent problem does not crowd out a rare one."""
    if not problems:
        return ()
    fair = max(1, most // len(problems))
    shares = [min(len(problem.orders), fair) for problem in problems]
    for at, problem in enumerate(problems):
        shares[at] += max(0, min(len(problem.orders) - shares[at], most - sum(shares)))
    picked = [order for problem, share in zip(problems, shares, strict=True) for order in problem.orders[:share]]
    return tuple(picked[:most])
