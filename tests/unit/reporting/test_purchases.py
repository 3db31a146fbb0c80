from __future__ import annotations

import random
from pathlib import Path

from crashcart.model.verdict import FailedOrder
from crashcart.reporting.purchases import by_problem, chosen, slowest
from tests.unit.reporting.conftest import Made


def order(at: float, problem: str, outcome: str = "failed", told_after_s: float | None = None) -> FailedOrder:
    return FailedOrder(f"key-{at}", f"R-{at}", at, {}, outcome, problem, None, told_after_s)


def test_problems_are_told_by_how_many_met_them_and_orders_by_when() -> None:
    orders = [order(3, "rare"), order(2, "often"), order(1, "often", told_after_s=1.0)]
    problems = by_problem(orders)
    assert [(one.name, len(one.orders), one.told) for one in problems] == [("often", 2, 1), ("rare", 1, 0)]
    assert [one.planned_s for one in problems[0].orders] == [1, 2]


def test_orders_that_were_told_nothing_are_told_apart_by_how_they_ended() -> None:
    problems = by_problem([order(1, "", "unknown"), order(2, "", "failed")])
    assert sorted(end for one in problems for end in one.outcomes) == ["failed", "unknown"]
    assert len(problems) == 2


def test_a_frequent_problem_does_not_crowd_out_a_rare_one() -> None:
    orders = [order(n, "often") for n in range(500)] + [order(1000, "rare"), order(1001, "rarer", "unknown")]
    listed = chosen(by_problem(orders), 50)
    assert len(listed) == 50
    assert {one.problem for one in listed} == {"often", "rare", "rarer"}


def test_never_more_than_asked_for_are_listed() -> None:
    rng = random.Random(5)
    for _ in range(200):
        orders = [order(n, f"p{rng.randrange(90)}") for n in range(rng.randrange(300))]
        listed = chosen(by_problem(orders), 50)
        assert len(listed) == min(50, len(orders))
        assert len({one.intent for one in listed}) == len(listed)


def test_the_slowest_are_those_that_shoppers_waited_for_longest(failed: Made) -> None:
    slow = slowest(failed.folder)
    assert len(slow) == 10
    assert [one.latency_ms for one in slow] == sorted((one.latency_ms for one in slow), reverse=True)
    assert all(one.reference.startswith("R-") for one in slow)


def test_a_recording_without_purchases_has_no_slow_ones(tmp_path: Path) -> None:
    assert slowest(tmp_path) == ()
