"""Load honesty: was the planned load really offered, and on time? Judged on session starts, never on what came back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from crashcart.judging.counters import Counters, Series
from crashcart.judging.numbers import percent, poisson_bounds
from crashcart.judging.shoppers import LOAD_PROBLEMS, OUTCOMES, Shoppers
from crashcart.judging.tape import Tape
from crashcart.model.errors import UsageError
from crashcart.model.plan import Phase, Plan
from crashcart.model.profiles import PROFILES, expected_count
from crashcart.model.slo import PHASE_LABEL, Selector
from crashcart.model.verdict import ValidityCheck

STARTED_SHARE = 0.99
LATE_MS = 50
"""A healthy generator on a busy machine is 5 to 10 ms late at p99. Lateness counts into every latency, and the tightest
latency objective of a shop is about 100 ms: a generator that eats half of that measures itself."""
LATE_SHARE = 0.01
LOAD_JOB = "load"
LATENESS = "shopper_lateness_seconds_bucket"


def load_delivered(tape: Tape) -> ValidityCheck:
    """Every scheduled session began, and the schedule was the planned one: phase by phase, warm-up included."""
    title = "the planned load was offered"
    written = tape.rows(_PACE)
    rows = {t: (scheduled, started) for t, scheduled, started in written}
    troubles = [trouble for phase in tape.reached for trouble in _phase_troubles(tape.plan, phase, rows)]
    troubles += _out_of_place(tape, rows)
    if len(written) > len(rows):
        troubles.append(f"of {len(written) - len(rows)} seconds the load wrote two things that contradict each other")
    last_s = tape.reached[-1].end_s if tape.reached else 0.0
    scheduled = sum(row[0] for second, row in rows.items() if second < last_s)
    started = sum(row[1] for second, row in rows.items() if second < last_s)
    expected = sum(_sessions(tape.plan, phase.start_s, phase.end_s) for phase in tape.reached)
    told = f"{started} of {scheduled} scheduled sessions began; the plan expected about {expected:.0f}"
    remedy = "use a machine with more cores free, or a lower load.peak_per_s"
    return ValidityCheck("load-delivered", title, not troubles, "; ".join(troubles) or told, remedy if troubles else "")


_PACE = "SELECT DISTINCT t, scheduled, started FROM recording.pace WHERE t IS NOT NULL ORDER BY ALL"


_PLANNED = "SELECT phase, min(planned_s), max(planned_s) FROM intents GROUP BY phase ORDER BY phase"
_ROUNDED_S = 0.001


def _out_of_place(tape: Tape, rows: Mapping[int, tuple[int, int]]) -> Iterator[str]:
    """What contradicts the times of the phases: a purchase planned outside its own, a load that goes on after the last.

    Who comes in the last moment of the last phase means to click after it.
    """
    end_s = tape.plan.phases[-1].end_s
    spans = {phase.name: (phase.start_s, phase.end_s) for phase in tape.plan.phases}
    for name, first_s, last_s in tape.rows(_PLANNED):
        from_s, to_s = spans.get(name, (math.inf, -math.inf))
        begins_early = first_s is None or first_s < from_s - _ROUNDED_S
        if begins_early or (to_s < end_s and last_s > to_s + _ROUNDED_S):
            told = "at no known time" if first_s is None else f"from {first_s:.1f} s to {last_s:.1f} s"
            yield f"{name}: its purchases were planned {told}, which is not when the phase was"
    after = sum(scheduled for second, (scheduled, _) in rows.items() if second >= end_s)
    if after:
        yield f"{after} sessions were scheduled after the last phase, which ended at {end_s:g} s"


def _phase_troubles(plan: Plan, phase: Phase, rows: dict[int, tuple[int, int]]) -> Iterator[str]:
    seconds = range(math.ceil(phase.start_s), math.floor(phase.end_s))
    silent = [second for second in seconds if second not in rows]
    if silent:
        yield f"{phase.name}: the load wrote nothing for {len(silent)} of {len(seconds)} seconds"
        return
    scheduled, started = (sum(rows[second][side] for second in seconds) for side in (0, 1))
    # A session due in a phase's last moment may begin a moment later.
    if started < scheduled * STARTED_SHARE - 2:
        yield f"{phase.name}: only {started} of {scheduled} scheduled sessions began"
    if seconds:
        expected = _sessions(plan, seconds.start, seconds.stop)
        low, high = poisson_bounds(expected)
        if not low <= scheduled <= high:
            yield f"{phase.name}: {scheduled} sessions were scheduled, the plan says {expected:.0f}"


def _sessions(plan: Plan, start_s: float, end_s: float) -> float:
    """The profile's integral, as the load draws from it."""
    per_s = plan.peak_per_s / plan.load.purchase_share
    if plan.profile not in PROFILES:
        raise UsageError(
            f"this crashcart has no profile {plan.profile!r}", remedy="judge with the one that recorded it"
        )
    return expected_count(PROFILES[plan.profile], per_s, plan.phases, start_s, end_s)


def lateness(tape: Tape, counters: Counters) -> ValidityCheck:
    """At most one session in a hundred of any phase began more than 50 ms after its time."""
    title = f"sessions began on time (p99 within {LATE_MS} ms)"
    phases = [phase for phase in tape.reached if phase.name != "warmup"]
    shares = [(phase.name, share) for phase in phases if (share := _late_share(counters, phase)) is not None]
    remedy = "the machine was too busy: run it alone, or with a lower load.peak_per_s"
    if shares and len(shares) == len(phases):
        worst, share = max(shares, key=lambda one: one[1])
        told = f"{percent(share)} of the sessions of {worst} were more than {LATE_MS} ms late"
        return ValidityCheck("lateness", title, share <= LATE_SHARE, told, "" if share <= LATE_SHARE else remedy)
    p99_ms = tape.summary.lateness.get("p99_ms") if tape.summary and not counters.metric(LATENESS) else None
    if not isinstance(p99_ms, int | float):
        return ValidityCheck("lateness", title, False, "no data: nothing tells how late the load was in every phase")
    return ValidityCheck("lateness", title, p99_ms <= LATE_MS, f"p99 {p99_ms:.1f} ms over the whole run", remedy)


def _late_share(counters: Counters, phase: Phase) -> float | None:
    """Share of a phase's sessions that began too late; None where no counter tells."""
    by_edge = {one.labels.get("le", ""): one for one in counters.metric(LATENESS)}
    edge, every = by_edge.get(f"{LATE_MS / 1000:g}"), by_edge.get("+Inf")
    if edge is None or every is None:
        return None
    began, on_time = (one.at(phase.end_s + 1.0) - one.at(phase.start_s) for one in (every, edge))
    return (began - on_time) / began if began > 0 and 0 <= on_time <= began else None


def load_unbroken(tape: Tape, shoppers: Shoppers) -> ValidityCheck:
    """The load had no errors of its own."""
    title = "the load itself worked"
    summary = tape.summary
    own = tape.rows("SELECT count(*) FROM intents WHERE list_contains(?, problem)", [list(LOAD_PROBLEMS)])[0][0]
    troubles = []
    if summary is None:
        troubles.append("it wrote no summary at its end")
    elif summary.broken:
        troubles.append(summary.broken.strip().splitlines()[-1])
    if summary is not None and summary.not_started + summary.crashed:
        troubles.append(
            f"{summary.not_started} sessions could not be begun, {summary.crashed} ended in an error of its own"
        )
    if own:
        troubles.append(f"{own} intents were abandoned by the load and not by the shop")
    if not shoppers.groups:
        troubles.append("no data: not one purchase was intended")
    told = f"{shoppers.count()} purchase intents, no error of the load's own"
    return ValidityCheck("load-unbroken", title, not troubles, "; ".join(troubles) or told)


def counters_agree(tape: Tape, shoppers: Shoppers, counters: Counters) -> ValidityCheck:
    """What Prometheus scraped of the shoppers is what they wrote to disk: not one purchase more or less."""
    title = "the shoppers' counters and their diary agree"
    wrong: list[str] = []
    compared = 0
    for phase in tape.plan.phases:
        diary = {"shopper_intended_total": shoppers.planned_in(phase.name)}
        diary |= {f"purchase {outcome}": shoppers.planned_in(phase.name, outcome) for outcome in OUTCOMES}
        scraped = _scraped(counters, phase.name)
        for name, by_cohort in diary.items():
            for cohort in sorted({*by_cohort, *scraped.get(name, {})}):
                there, here = scraped.get(name, {}).get(cohort, 0), by_cohort.get(cohort, 0)
                compared += 1
                if there != here:
                    wrong.append(f"{name} of {cohort} in {phase.name}: {there} scraped, {here} written down")
    if not compared:
        return ValidityCheck("shoppers-counted", title, False, "no data: neither counters nor intents were recorded")
    more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
    return ValidityCheck(
        "shoppers-counted", title, not wrong, "; ".join(wrong[:3]) + more or f"{compared} counters compared"
    )


def counters_whole(tape: Tape, counters: Counters, selectors: Sequence[Selector]) -> ValidityCheck:
    """No series of the shoppers' own is missing or cut: all of them end together, and cohorts add up to everybody."""
    title = "the shoppers' counters are whole"
    mine = [one for name in sorted({selector.metric for selector in selectors}) for one in counters.metric(name)]
    mine = [one for one in mine if one.labels.get("job") == LOAD_JOB]
    ends = {(one.labels.get("instance", ""), one.times[0], one.times[-1]) for one in mine}
    instances = {instance for instance, _, _ in ends}
    wrong = [] if len(ends) == len(instances) else ["some series begin later or end earlier than others"]
    wrong += [f"{one.metric} fell: the load was started again" for one in mine if one.fell][:1]
    wrong += _unlike(mine)
    by_rest: dict[tuple[str, tuple[tuple[str, str], ...]], dict[str, float]] = {}
    for one in mine:
        rest = tuple(sorted((label, value) for label, value in one.labels.items() if label != "cohort"))
        by_rest.setdefault((one.metric, rest), {})[one.labels.get("cohort", "")] = one.values[-1]
    for (metric, rest), by_cohort in by_rest.items():
        if not _adds_up(by_cohort, tape.plan.load.cohorts):
            inner = ",".join(f'{label}="{value}"' for label, value in rest)
            wrong.append(f"{metric}{{{inner}}}: its cohorts do not add up")
    if selectors and not mine:
        wrong.append("no data: nothing was scraped of the load")
    return ValidityCheck("counters-whole", title, not wrong, "; ".join(wrong[:3]) or f"{len(mine)} series")


def _unlike(series: Sequence[Series]) -> Iterator[str]:
    """Every counter stands at 0 from the start, in every phase: one that is missing in some was lost, not quiet."""
    by_kind: dict[tuple[str, tuple[tuple[str, str], ...]], set[str]] = {}
    for one in series:
        labels = tuple(sorted((label, value) for label, value in one.labels.items() if label != PHASE_LABEL))
        by_kind.setdefault((one.metric, labels), set()).add(one.labels.get(PHASE_LABEL, ""))
    everywhere = {
        metric: set().union(*(seen for (name, _), seen in by_kind.items() if name == metric)) for metric, _ in by_kind
    }
    for (metric, labels), seen in sorted(by_kind.items()):
        if seen != everywhere[metric]:
            inner = ",".join(f'{label}="{value}"' for label, value in labels)
            yield f"{metric}{{{inner}}} was lost in {', '.join(sorted(everywhere[metric] - seen))}"


def _adds_up(by_cohort: Mapping[str, float], dimensions: Mapping[str, Mapping[str, float]]) -> bool:
    sums = [
        sum(by_cohort.get(f"{dimension}:{value}", 0.0) for value in values) for dimension, values in dimensions.items()
    ]
    return "all" in by_cohort and all(total == by_cohort["all"] for total in sums)


def _scraped(counters: Counters, phase: str) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for one in (*counters.metric("shopper_intended_total"), *counters.metric("shopper_events_total")):
        if one.labels.get("phase") != phase:
            continue
        if one.metric == "shopper_events_total":
            if one.labels.get("sli") != "purchase":
                continue
            name = f"purchase {one.labels.get('outcome')}"
        else:
            name = one.metric
        by_cohort = found.setdefault(name, {})
        cohort = one.labels.get("cohort", "")
        by_cohort[cohort] = by_cohort.get(cohort, 0) + _whole(one.values[-1])
    return found


def _whole(value: float) -> int:
    """What is no number was counted by nobody."""
    return round(value) if math.isfinite(value) else 0
