"""The gate between baseline and fault: where the shop is not well, nothing is injected.

It asks what the judge asks, with the judge's own test: a baseline a hair below its objective by chance is no sick one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from crashcart.model.chance import SIGNIFICANT, binomial_tail, enough, holm, met
from crashcart.model.plan import Plan, PlannedObjective
from crashcart.running.sli import Counted, Slis

UNSETTLED_S = 3.0
"""So many seconds' worth of events may still be under way when the gate is judged."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """One objective of the baseline, as it stood when the first fault was due."""

    objective: str
    wanted: float
    counted: Counted
    met: bool
    reason: str


def judge_gate(plan: Plan, slis: Slis) -> tuple[GateResult, ...]:
    """Whether the baseline is healthy enough for a fault to mean anything, in the plan's order."""
    families: dict[str, list[tuple[PlannedObjective, Counted]]] = {}
    for objective in plan.objectives:
        if objective.phase == "baseline":
            counted = slis.count(plan.slo(objective.slo), phase="baseline", cohort=objective.cohort)
            families.setdefault(objective.slo, []).append((objective, counted))
    results: dict[str, GateResult] = {}
    for family in families.values():
        corrected = holm([_chance(counted, objective.objective) for objective, counted in family])
        for (objective, counted), p_value in zip(family, corrected, strict=True):
            reason = _reason(plan, objective, counted, p_value)
            results[objective.id] = GateResult(objective.id, objective.objective, counted, not reason, reason)
    return tuple(results[objective.id] for objective in plan.objectives if objective.id in results)


def _chance(counted: Counted, wanted: float) -> float:
    good, valid = _whole(counted)
    return binomial_tail(good, valid, wanted) if valid else 1.0


def _whole(counted: Counted) -> tuple[int, int]:
    """Events, not shares of them; a scrape between two counters may show a good one that is not settled yet."""
    valid = max(round(counted.settled), 0)
    return min(round(counted.good), valid), valid


def _reason(plan: Plan, objective: PlannedObjective, counted: Counted, p_value: float) -> str:
    """Why the gate stays closed; empty where it opens. `p_value` is corrected already."""
    good, valid = _whole(counted)
    only_failures = plan.slo(objective.slo).only_failures
    if only_failures and not valid:
        return ""
    allowance = UNSETTLED_S * objective.expected_events / plan.phase("baseline").duration_s
    under_way = counted.total - counted.settled
    if under_way > allowance + 3 * math.sqrt(allowance):
        return f"{under_way:.0f} of {counted.total:.0f} events are still under way"
    if not only_failures and not enough(good, valid, objective.objective, objective.min_events):
        return f"only {valid} events so far, {objective.min_events} are needed"
    if not met(good, valid, objective.objective) and p_value < SIGNIFICANT:
        return f"{good / valid:.4f} of {valid} events, the objective is {objective.objective:g}"
    return ""
