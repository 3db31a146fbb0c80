"""Numbers for people: what each phase looked like, what the faults cost, and where two counts of one thing differ."""

from __future__ import annotations

from collections.abc import Iterator

from crashcart.judging.counters import Counters, Series
from crashcart.judging.machine import span_between
from crashcart.judging.numbers import percent, rounded
from crashcart.judging.shoppers import Shoppers
from crashcart.judging.tape import Tape
from crashcart.model.plan import Phase
from crashcart.model.recording import Event
from crashcart.model.verdict import Cost, PhaseNumbers

LOST = ("failed", "blocked", "gave_up")
ABANDONED = ("blocked", "gave_up")
DIFFER = 0.01
"""Shares of good answers that differ by more are worth a line."""
REQUESTS = "http_requests_total"
HEALTH = ("livez", "readyz", "metrics", "/livez", "/readyz", "/metrics")

_LATENCIES = """
SELECT phase, quantile_disc(latency_ms, 0.5), quantile_disc(latency_ms, 0.99)
FROM intents WHERE latency_ms IS NOT NULL GROUP BY phase
"""
_LOST = """
SELECT count(*), coalesce(sum(total_cents), 0)::BIGINT, count(*) FILTER (total_cents IS NULL)
FROM recording.unsold
WHERE outcome IN ('failed', 'blocked', 'gave_up') OR (outcome = 'unknown' AND booked IS DISTINCT FROM 'ok')
"""
_AVERAGE = "SELECT coalesce(sum(total_cents), 0)::BIGINT, count(total_cents) FROM intents WHERE outcome = 'ok'"


def phases(tape: Tape, shoppers: Shoppers) -> tuple[PhaseNumbers, ...]:
    """Every phase of the plan."""
    latencies = {phase: (p50, p99) for phase, p50, p99 in tape.rows(_LATENCIES)}
    return tuple(_phase(phase, shoppers, *latencies.get(phase.name, (None, None))) for phase in tape.plan.phases)


def _phase(phase: Phase, shoppers: Shoppers, p50_ms: float | None, p99_ms: float | None) -> PhaseNumbers:
    def ended(outcome: str) -> int:
        return shoppers.planned_in(phase.name, outcome)["all"]

    return PhaseNumbers(
        name=phase.name,
        start_s=phase.start_s,
        end_s=phase.end_s,
        offered=shoppers.planned_in(phase.name)["all"],
        ok=ended("ok"),
        failed=ended("failed"),
        unknown=ended("unknown"),
        declined=ended("declined"),
        sold_out=ended("sold_out"),
        checkout_p50_ms=None if p50_ms is None else rounded(p50_ms, 3),
        checkout_p99_ms=None if p99_ms is None else rounded(p99_ms, 3),
        blocked=ended("blocked"),
        gave_up=ended("gave_up"),
    )


def cost(tape: Tape, shoppers: Shoppers) -> Cost:
    """What was lost in the whole run, and the CPU that an order of the baseline took."""
    lost, known_cents, unpriced = tape.rows(_LOST)[0]
    sold_cents, sold = tape.rows(_AVERAGE)[0]
    # Who never came to send has no total: an average order then, of this run where it had any.
    average_cents = sold_cents // sold if sold else tape.plan.truth.average_order_cents
    by_process, neighbours = _cpu(tape, shoppers)
    return Cost(
        purchases_lost=lost,
        money_lost_cents=known_cents + unpriced * average_cents,
        cpu_ms_per_order=rounded(sum(by_process.values()), 3) if by_process else None,
        cpu_ms_per_order_by_process={name: rounded(ms, 3) for name, ms in sorted(by_process.items())},
        neighbours_busy_share=neighbours,
        carts_abandoned=shoppers.count(lambda group: group.outcome in ABANDONED),
        average_order_cents=average_cents,
    )


def _cpu(tape: Tape, shoppers: Shoppers) -> tuple[dict[str, float], float | None]:
    """Part → milliseconds an order, over the baseline; and how busy everybody else kept the machine meanwhile."""
    samples = tape.named("cpu")
    starts = [index for index, event in enumerate(samples) if event.data.get("at") == "baseline"]
    orders = shoppers.planned_in("baseline", "ok")["all"]
    if not starts or starts[0] + 1 >= len(samples):
        return {}, None
    before, after = samples[starts[0]], samples[starts[0] + 1]
    used_s = {
        part: max(0.0, float(used) - float(before.data["process_cpu_s"].get(part, 0.0)))
        for part, used in after.data["process_cpu_s"].items()
    }
    return ({part: 1000 * used / orders for part, used in used_s.items()} if orders else {}), _others(
        before, after, sum(used_s.values())
    )


def _others(before: Event, after: Event, ours_s: float) -> float | None:
    span = span_between(before, after, ours_s)
    return None if span is None else rounded(span.others, 4)


def disagreements(tape: Tape, counters: Counters) -> tuple[str, ...]:
    """Phases in which the front door's own count of good answers differs from the shoppers'."""
    entry = tape.plan.load.entry or tape.plan.design.entry
    doors = [
        one
        for one in counters.metric(REQUESTS)
        if one.labels.get("service") == entry and one.labels.get("operation") not in HEALTH
    ]
    events = [
        one
        for one in counters.metric("shopper_events_total")
        if one.labels.get("cohort") == "all" and one.labels.get("sli") != "purchase"
    ]
    return tuple(_differences(tape, entry, doors, events))


def _differences(tape: Tape, entry: str, doors: list[Series], events: list[Series]) -> Iterator[str]:
    for phase in tape.reached:
        theirs = _share(doors, phase, lambda one: one.labels.get("status_class") != "5xx")
        ours = _share(events, phase, lambda one: one.labels.get("outcome") in ("ok", "declined", "sold_out"))
        if theirs is None or ours is None or abs(theirs - ours) <= DIFFER:
            continue
        yield (
            f"{phase.name}: {entry} counts {percent(theirs)} of its answers as good, "
            f"shoppers {percent(ours)} of what they asked for, where asking again counts once"
        )


def _share(series: list[Series], phase: Phase, good: object) -> float | None:
    assert callable(good)
    grown = [(one.grown(phase.start_s, phase.end_s), good(one)) for one in series]
    total = sum(n for n, _ in grown)
    return sum(n for n, is_good in grown if is_good) / total if total else None
