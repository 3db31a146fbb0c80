"""Links by phase: what their clients counted of calls, failures, retries and times. Nothing is judged by it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator

from crashcart.judging.counters import Counters, Series
from crashcart.model.plan import Phase, Plan
from crashcart.model.verdict import LinkNumbers

CALLS = "link_calls_total"
RETRIES = "link_retries_total"
SECONDS = "link_call_duration_seconds_bucket"
METRICS = (CALLS, RETRIES, SECONDS)
NOT_ON_THE_WIRE = ("short_circuited", "saturated")
OK = "ok"


def read_links(plan: Plan, counters: Counters) -> tuple[LinkNumbers, ...]:
    """Every link that a client counted on, phase by phase."""
    links = sorted({link for one in counters.metric(CALLS) if (link := one.labels.get("link"))})
    return tuple(_numbers(link, phase, counters) for link in links for phase in plan.phases)


def _numbers(link: str, phase: Phase, counters: Counters) -> LinkNumbers:
    by_outcome: Counter[str] = Counter()
    for one in _of(link, counters, CALLS):
        by_outcome[one.labels.get("outcome", "")] += _grown(one, phase)
    kept_off = sum(by_outcome[outcome] for outcome in NOT_ON_THE_WIRE)
    calls = sum(by_outcome.values()) - kept_off
    buckets: Counter[float] = Counter()
    for one in _of(link, counters, SECONDS):
        buckets[_edge_s(one.labels.get("le", ""))] += _grown(one, phase)
    return LinkNumbers(
        link=link,
        phase=phase.name,
        calls=calls,
        failed=calls - by_outcome[OK],
        short_circuited=kept_off,
        retries=sum(_grown(one, phase) for one in _of(link, counters, RETRIES)),
        p50_ms=_quantile_ms(buckets, 0.50),
        p99_ms=_quantile_ms(buckets, 0.99),
    )


def _of(link: str, counters: Counters, metric: str) -> Iterator[Series]:
    return (one for one in counters.metric(metric) if one.labels.get("link") == link)


def _grown(one: Series, phase: Phase) -> int:
    """From the last scrape before the phase to its last one. A client that was started again counts from 0."""
    return round(one.between(phase.start_s, phase.end_s))


def _edge_s(le: str) -> float:
    try:
        return float(le)
    except ValueError:
        return math.inf


def _quantile_ms(buckets: Counter[float], share: float) -> float | None:
    """The upper edge of the bucket that it lies in; counts are cumulative, as Prometheus keeps them."""
    total = max(buckets.values(), default=0)
    if not total:
        return None
    edges: Iterable[float] = sorted(edge for edge, n in buckets.items() if n >= math.ceil(share * total))
    edge_s = next(iter(edges), math.inf)
    return round(edge_s * 1000, 3) if math.isfinite(edge_s) else None
