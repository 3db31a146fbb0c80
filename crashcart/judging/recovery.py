"""Recovery: the first second from which all stayed well until the end. One good answer is not recovery."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from crashcart.judging.counters import Counters, Series
from crashcart.judging.numbers import SIGNIFICANT, enough, met, percent, rounded
from crashcart.judging.objectives import PURCHASE, Tally, corrected_p_values
from crashcart.judging.shoppers import NOTHING, OUTCOMES, BySecond, Tallied
from crashcart.model.plan import Plan, PlannedRecovery
from crashcart.model.slo import Selector, Slo
from crashcart.model.verdict import Outcome, RecoveryResult

WINDOW_S = 3
"""Goodput is looked at over at least so many seconds …"""
WINDOW_EVENTS = 20
"""… and so many purchases: one that is lost is not a relapse, and 5 % of fewer than this is less than one."""
MIN_EVENTS = 20
INTENDED = "shopper_intended_total"
EVENTS = "shopper_events_total"
METASTABLE = "what was broken had been mended, and the shop stayed down: a metastable failure"
LAST_S = 1 << 40
"""After everything."""


@dataclass(frozen=True)
class Goodput:
    """Purchases by the second they were planned for."""

    offered: Tallied
    good: Tallied

    def ratio(self, start_s: int, end_s: int) -> float | None:
        """Good over offered from one second to before another; None where nothing was offered."""
        offered = self.offered.between(start_s, end_s)
        return self.good.between(start_s, end_s) / offered if offered else None

    def sick_windows(self, start_s: int, end_s: int, least: float) -> list[int]:
        """Starts of windows in which the ratio is under `least`. A window is grown until it holds enough purchases."""
        sick = []
        for start in range(start_s, end_s):
            window_end = self._window_end(start, end_s)
            if window_end is None:
                break
            ratio = self.ratio(start, window_end)
            if ratio is not None and ratio < least - 1e-12:
                sick.append(start)
        return sick

    def _window_end(self, start: int, end_s: int) -> int | None:
        for window_end in range(start + WINDOW_S, end_s + 1):
            if self.offered.between(start, window_end) >= WINDOW_EVENTS:
                return window_end
        return None


def judge_recovery(
    plan: Plan, goodput: Goodput, by_second: BySecond, counters: Counters, *, unconfirmed: int
) -> RecoveryResult | None:
    """None where no recovery is expected. `unconfirmed`: refusals that nobody could ask the books about."""
    wanted = plan.recovery
    if wanted is None:
        return None
    baseline, end_s = plan.phase("baseline"), math.floor(plan.phases[-1].end_s)
    first_s = math.ceil(wanted.from_s)
    base = goodput.ratio(math.ceil(baseline.start_s), math.floor(baseline.end_s))
    observed_for_s = rounded(end_s - wanted.from_s, 3)
    if not base:
        reason = "no data: not one purchase of the baseline came through" if base == 0 else "no data: no baseline"
        return RecoveryResult(Outcome.INCONCLUSIVE, reason, wanted.within_s, None, observed_for_s, base, None)
    least = wanted.goodput_ratio * base
    started_s = math.floor(min(fault.start_s for fault in plan.faults)) if plan.faults else first_s
    sick = goodput.sick_windows(started_s, end_s, least)
    breached = next((second - started_s for second in sick), None)
    earliest = max([first_s, *(second + 1 for second in sick)])
    latest = math.floor(end_s - wanted.hold_s)
    found, why, unclear = None, f"goodput over offered was under {percent(least)}", False
    for second in range(earliest, latest + 1):
        states = [
            _enough(goodput, second, end_s, least),
            *(_slo_at(plan.slo(name), second, end_s, by_second, counters) for name in wanted.slos),
            _goodput_at(goodput, second, end_s, least),
        ]
        missed = [state for state in states if state.why]
        if not missed:
            found = second
            break
        why = next((state.why for state in missed if not state.unclear), missed[0].why)
        unclear = all(state.unclear for state in missed)
    last_ratio = goodput.ratio(end_s - WINDOW_S, end_s)
    stuck = bool(plan.faults) and last_ratio is not None and last_ratio < least - 1e-12
    # where it was seen ill after the time that was allowed, it makes no difference that too few came later to tell
    unclear = unclear and earliest - wanted.from_s <= wanted.within_s
    outcome, reason = _decide(wanted, found, observed_for_s, why, unclear=unclear, stuck=stuck)
    if outcome is Outcome.FAIL and unconfirmed:
        outcome, reason = (
            Outcome.INCONCLUSIVE,
            f"{reason}; {unconfirmed} refusals could not be confirmed and count as bad",
        )
    return RecoveryResult(
        outcome=outcome,
        reason=reason,
        within_s=wanted.within_s,
        recovered_after_s=None if found is None else rounded(max(0.0, found - wanted.from_s), 3),
        observed_for_s=observed_for_s,
        baseline_ratio=rounded(base),
        breached_after_s=None if breached is None else float(breached),
    )


def _decide(
    wanted: PlannedRecovery, found: int | None, observed_for_s: float, why: str, *, unclear: bool, stuck: bool
) -> tuple[Outcome, str]:
    if found is not None:
        after_s = max(0.0, found - wanted.from_s)
        told = f"well again {after_s:g} s after the last fault ended, to the end; {wanted.within_s:g} s were allowed"
        return (Outcome.PASS if after_s <= wanted.within_s else Outcome.FAIL), told
    if unclear:
        return Outcome.INCONCLUSIVE, why
    watched = f"not well again in the {observed_for_s:g} s that were watched"
    metastable = f"; {METASTABLE}" if stuck else ""
    return Outcome.FAIL, f"{watched}, of which the last {wanted.hold_s:g} s must be healthy: {why}{metastable}"


@dataclass(frozen=True, slots=True)
class _State:
    why: str = ""
    """What is not well; empty where all is."""
    unclear: bool = False
    """Nothing is known to be wrong: there is too little to tell."""


def _enough(goodput: Goodput, since_s: int, end_s: int, least: float) -> _State:
    offered = goodput.offered.between(since_s, end_s)
    if enough(goodput.good.between(since_s, end_s), offered, least, MIN_EVENTS):
        return _State()
    return _State(f"only {offered} purchases were intended from {since_s} s on, too few to tell", unclear=True)


def _goodput_at(goodput: Goodput, since_s: int, end_s: int, least: float) -> _State:
    """Whatever the SLOs cannot tell: a shop in which nobody gets as far as to send an order is not well."""
    offered, ratio = goodput.offered.between(since_s, end_s), goodput.ratio(since_s, end_s)
    if ratio is not None and ratio >= least - 1e-12:
        return _State()
    return _State(f"goodput over offered was under {percent(least)}", unclear=offered < MIN_EVENTS)


def _slo_at(slo: Slo, since_s: int, end_s: int, by_second: BySecond, counters: Counters) -> _State:
    """Whether an SLO is met from a second on: for all, as observed; for each cohort, not missed beyond chance."""
    family = {cohort: _count(slo, cohort, since_s, end_s, by_second, counters) for cohort in slo.objectives}
    troubles = [counted.trouble for counted in family.values() if counted.trouble]
    if troubles:
        return _State(f"{slo.name}: {troubles[0]}", unclear=True)
    everyone = family["all"]
    if not slo.only_failures and not enough(everyone.good, everyone.valid, slo.objectives["all"], MIN_EVENTS):
        return _State(f"{slo.name}: only {everyone.valid} events from {since_s} s on, too few to tell", unclear=True)
    if not met(everyone.good, everyone.valid, slo.objectives["all"]):
        return _State(_told(slo, "all", everyone, since_s))
    corrected = corrected_p_values([(family[cohort], wanted) for cohort, wanted in slo.objectives.items()])
    for (cohort, wanted), p_value in zip(slo.objectives.items(), corrected, strict=True):
        if not met(family[cohort].good, family[cohort].valid, wanted) and p_value < SIGNIFICANT:
            return _State(_told(slo, cohort, family[cohort], since_s))
    return _State()


def _told(slo: Slo, cohort: str, counted: Tally, since_s: int) -> str:
    ratio = percent(counted.good / counted.valid)
    who = "" if cohort == "all" else f" of {cohort}"
    return f"{slo.name}{who} was {ratio} from {since_s} s on, the objective is {percent(slo.objectives[cohort])}"


def _count(slo: Slo, cohort: str, since_s: int, end_s: int, by_second: BySecond, counters: Counters) -> Tally:
    if slo.total.metric == INTENDED and _is_of_the_diary(slo.good):
        # Purchases by the second they were planned for, from the diary: exact, and slow ones are not counted later.
        offered, good = by_second.offered.get(cohort, NOTHING), by_second.good.get(cohort, NOTHING)
        return Tally(good.between(since_s, end_s), offered.between(since_s, end_s))
    total = slo.total if slo.total.metric != INTENDED else slo.settled
    if total is None:
        return Tally(0, 0, trouble="its total counts who comes and not what ended: it needs crashcart/settled")
    good_series, total_series = counters.of(slo.good, cohort), counters.of(total, cohort)
    if not good_series or not total_series:
        return Tally(0, 0, trouble=f"no data: no series of {cohort}")
    if any(one.fell for one in (*good_series, *total_series)):
        return Tally(0, 0, trouble="a counter was reset during the run")
    if _stood_at(total_series) != _stood_at(counters.of(slo.total, cohort)):
        return Tally(0, 0, trouble=f"{total} is not all that ended of {slo.total}")
    good_n, total_n = _grown(good_series, since_s), _grown(total_series, since_s)
    if good_n > total_n:
        return Tally(0, 0, trouble="more good events than events: the counters contradict each other")
    excluded = 0
    if slo.excluded is not None:
        confirmed = by_second.confirmed.get(cohort, NOTHING)
        excluded = min(total_n - good_n, confirmed.between(since_s, LAST_S))
    return Tally(good_n, total_n, excluded)


def _is_of_the_diary(good: Selector) -> bool:
    """Whether it selects purchases that came through, and nothing else."""
    outcomes = {outcome for outcome in OUTCOMES if good.accepts({"sli": PURCHASE, "outcome": outcome})}
    return good.metric == EVENTS and outcomes == {"ok"}


def _stood_at(series: Sequence[Series]) -> int:
    """In the end, when everything had settled."""
    return round(sum(one.values[-1] for one in series))


def _grown(series: Sequence[Series], since_s: int) -> int:
    """From the last scrape before that second: up to a second more than asked for, never less."""
    return round(sum(one.values[-1] - one.at(since_s) for one in series))
