"""Objectives: good over valid events of each declared cohort, against what was expected of a phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crashcart.judging.counters import Counters
from crashcart.judging.followup import FollowUps
from crashcart.judging.numbers import binomial_tail, holm, met, percent, ratio_outcome, rounded
from crashcart.judging.shoppers import REFUSED, Group, Shoppers
from crashcart.model.plan import Plan, PlannedObjective
from crashcart.model.slo import Selector, Slo
from crashcart.model.verdict import ObjectiveResult, Outcome

PURCHASE = "purchase"


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted for one objective. `trouble`: why nothing can be said; empty where something can."""

    good: int
    total: int
    excluded: int = 0
    """Of the total, left out: refused, and confirmed."""
    unconfirmed: int = 0
    """Refused, and nobody could say whether rightly: the books could not be asked."""
    trouble: str = ""

    @property
    def valid(self) -> int:
        """Events that count."""
        return self.total - self.excluded


def tally(
    plan: Plan, objective: PlannedObjective, counters: Counters, shoppers: Shoppers, follow_ups: FollowUps
) -> Tally:
    """Count one objective's events, from the scraped counters; what is left out, from intents and books."""
    slo = plan.slo(objective.slo)
    if slo.told_within_s is not None:
        told, failed = follow_ups.count(objective.phase, objective.cohort, slo.told_within_s)
        return Tally(told, failed, trouble=follow_ups.trouble)
    start_s = plan.phase(objective.phase).start_s
    good = counters.in_phase(slo.good, objective.phase, objective.cohort, start_s)
    total = counters.in_phase(slo.total, objective.phase, objective.cohort, start_s)
    trouble = good.trouble or total.trouble
    if not trouble and good.n > total.n:
        trouble = f"{good.n} good events of {total.n}: the counters contradict each other"
    excluded = unconfirmed = 0
    if slo.excluded is not None and not trouble:
        refused = counters.in_phase(slo.excluded, objective.phase, objective.cohort, start_s)
        trouble = refused.trouble
        confirmed = shoppers.by_cohort(_refused_in(slo.excluded, objective.phase))[objective.cohort]
        excluded = min(refused.n, confirmed, total.n - good.n)
        unconfirmed = refused.n - excluded if shoppers.unconfirmable else 0
    return Tally(good.n, total.n, excluded, unconfirmed, trouble)


def judge_objectives(plan: Plan, tallies: Mapping[str, Tally]) -> tuple[ObjectiveResult, ...]:
    """Every planned objective, in the plan's order. `tallies` by the objective's id.

    P values are corrected over the cohorts of one SLO in one phase.
    """
    families: dict[tuple[str, str], list[PlannedObjective]] = {}
    for objective in plan.objectives:
        families.setdefault((objective.phase, objective.slo), []).append(objective)
    results: dict[str, ObjectiveResult] = {}
    for family in families.values():
        slo = plan.slo(family[0].slo)
        corrected = corrected_p_values([(tallies[one.id], one.objective) for one in family])
        for objective, p_value in zip(family, corrected, strict=True):
            results[objective.id] = judge_one(slo, objective, tallies[objective.id], p_value)
    return tuple(results[objective.id] for objective in plan.objectives)


def corrected_p_values(family: Sequence[tuple[Tally, float]]) -> tuple[float, ...]:
    """For each (tally, objective): how likely so few good events were by chance, all of them having been looked at."""
    return holm(
        [
            1.0 if counted.trouble or not counted.valid else binomial_tail(counted.good, counted.valid, objective)
            for counted, objective in family
        ]
    )


def judge_one(slo: Slo, objective: PlannedObjective, counted: Tally, p_value: float) -> ObjectiveResult:
    """One cohort's objective. `p_value` is corrected already."""
    outcome, reason = _decide(slo, objective, counted, p_value)
    seen = not counted.trouble and counted.valid > 0
    observed = counted.good / counted.valid if seen else None
    return ObjectiveResult(
        id=objective.id,
        slo=slo.name,
        title=slo.title,
        phase=objective.phase,
        cohort=objective.cohort,
        objective=objective.objective,
        outcome=outcome,
        reason=reason,
        good=counted.good if not counted.trouble else 0,
        valid=counted.valid if not counted.trouble else 0,
        excluded=counted.excluded,
        observed=None if observed is None else rounded(observed),
        margin=None if observed is None else rounded(observed - objective.objective),
        p_value=rounded(p_value) if seen else None,
        bad_allowed=rounded(counted.valid * (1 - objective.objective), 3) if seen else 0.0,
    )


def _decide(slo: Slo, objective: PlannedObjective, counted: Tally, p_value: float) -> tuple[Outcome, str]:
    if counted.trouble:
        return Outcome.INCONCLUSIVE, counted.trouble
    good, valid, wanted = counted.good, counted.valid, objective.objective
    if not valid:
        if slo.only_failures:
            return Outcome.PASS, "nothing failed"
        return Outcome.INCONCLUSIVE, "no data: there was not one event"
    seen = f"{percent(good / valid)} of {valid} events, the objective is {percent(wanted)}"
    if counted.unconfirmed and not met(good, valid, wanted):
        asked = f"{counted.unconfirmed} were declined or sold out, and the books could not be asked whether rightly"
        return Outcome.INCONCLUSIVE, f"{seen}; {asked}"
    outcome = ratio_outcome(good, valid, wanted, 0 if slo.only_failures else objective.min_events, p_value)
    if outcome is Outcome.PASS:
        return outcome, seen
    if outcome is Outcome.FAIL:
        return outcome, f"{seen}; that is not chance (p {_p(p_value)})"
    if met(good, valid, wanted):
        return outcome, f"{seen}; too few events to tell, {objective.min_events} are needed"
    return outcome, f"{seen}; too few events to tell, this may be chance (p {_p(p_value)})"


def _p(p_value: float) -> str:
    return "< 0.0001" if p_value < 0.0001 else f"= {p_value:.4f}"


def _refused_in(excluded: Selector, phase: str) -> Refused:
    sli = next((matcher.value for matcher in excluded.matchers if matcher.label == "sli"), PURCHASE)
    return Refused(excluded, sli, phase)


@dataclass(frozen=True, slots=True)
class Refused:
    """Whether a group of intents is refused, confirmed, and counted by a selector in a phase.

    Purchases count by their planned time, what was sent by the time of the click.
    """

    selector: Selector
    sli: str
    phase: str

    def __call__(self, group: Group) -> bool:
        """True for groups that are left out."""
        phase = group.phase if self.sli == PURCHASE else group.meant_phase
        return (
            group.excluded
            and group.outcome in REFUSED
            and phase == self.phase
            and self.selector.accepts({**_labels(self.selector), "sli": self.sli, "outcome": group.outcome})
        )


def _labels(selector: Selector) -> dict[str, str]:
    """Labels that make a selector's plain conditions true; what an intent can't say is taken as met."""
    return {matcher.label: matcher.value for matcher in selector.matchers if matcher.op == "="}
