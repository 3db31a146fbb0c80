"""What the services of made-up runs counted: calls on links, retries, durations, and one alert of the shop's own."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator

from crashcart.model.plan import Plan
from crashcart.model.verdict import LinkNumbers
from tests.unit.reporting.stories import Story

LINKS = {
    "storefront.cart": 2.4,
    "storefront.checkout": 1.0,
    "checkout.inventory": 2.0,
    "checkout.payments": 1.0,
    "checkout.orders-db": 4.0,
    "payments.payments-db": 3.0,
    "payments.psp-a": 0.7,
    "payments.psp-b": 0.3,
}
"""Link → calls for each purchase."""
ALERT = "PaymentsFailing"
EDGES_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
SERIES_COLUMNS = {"metric": "VARCHAR", "labels": "VARCHAR", "t": "DOUBLE", "value": "DOUBLE"}

Samples = Iterator[tuple[str, dict[str, str], float]]
"""(metric, labels, value) of one scrape."""


def make_series(plan: Plan, story: Story) -> Iterable[dict[str, object]]:
    """A scrape a second, from a second before the load to its end."""
    counts: dict[str, dict[str, int]] = {link: {} for link in LINKS}
    rng, fault = random.Random(17), plan.phase("fault")
    for second in range(-1, int(plan.duration_s) + 1):
        for link, per_purchase in LINKS.items():
            calls = round(rng.gauss(1, 0.1) * per_purchase * plan.peak_per_s) if second > 0 else 0
            acts = story.fault_acts and fault.start_s < second <= fault.end_s
            _count(counts[link], rng, link, calls, acts=acts, since=second - fault.start_s)
        for link in LINKS:
            yield from _rows(second - 0.3, _link(link, counts[link]))
        fires = story.fault_acts and fault.start_s + 5 <= second < fault.end_s + 4
        yield from _rows(second - 0.3, iter([("alert_firing", {"alert": ALERT}, float(fires))]))


def _count(count: dict[str, int], rng: random.Random, link: str, calls: int, *, acts: bool, since: float) -> None:
    def add(what: str, number: int) -> None:
        count[what] = count.get(what, 0) + number

    gone = acts and link == "payments.psp-a"
    not_sent = round(calls * 0.9) if gone and since > 4 else 0
    failed = calls - not_sent if gone else round(calls * 0.3 * rng.random()) if acts and "payments" in link else 0
    add("short_circuited", not_sent)
    add("timeout", failed)
    add("ok", calls - not_sent - failed)
    add("retries", failed // 2)
    slow = 8.0 if acts and "payments" in link else 1.0
    for edge_s in EDGES_S:
        share = min(1.0, edge_s / (0.02 * slow))
        add(f"le {edge_s}", round((calls - not_sent) * share))
    add("le +Inf", calls - not_sent)


def _link(link: str, count: dict[str, int]) -> Samples:
    for outcome in ("ok", "error", "timeout", "refused", "short_circuited", "saturated"):
        yield "link_calls_total", {"link": link, "outcome": outcome}, count.get(outcome, 0)
    yield "link_retries_total", {"link": link}, count.get("retries", 0)
    for edge in (*map(str, EDGES_S), "+Inf"):
        yield "link_call_duration_seconds_bucket", {"link": link, "le": edge}, count.get(f"le {edge}", 0)


def _rows(t: float, samples: Samples) -> Iterator[dict[str, object]]:
    for metric, labels, value in samples:
        instance = {"instance": f"{labels.get('link', 'checkout').split('.')[0]}[0]"}
        yield {"metric": metric, "labels": json.dumps({**labels, **instance}, sort_keys=True), "t": t, "value": value}


def link_numbers(plan: Plan, story: Story) -> Iterator[LinkNumbers]:
    """What a judge would have counted of them, about."""
    for phase in plan.phases:
        for link, per_purchase in LINKS.items():
            calls = round(per_purchase * plan.peak_per_s * phase.duration_s)
            acts = story.fault_acts and phase.name == "fault"
            gone, near = acts and link == "payments.psp-a", acts and "payments" in link
            failed = calls // 5 if gone else calls // 7 if near else 0
            yield LinkNumbers(
                link=link,
                phase=phase.name,
                calls=calls // 5 if gone else calls,
                failed=failed,
                short_circuited=calls * 4 // 5 if gone else 0,
                retries=failed // 2,
                p50_ms=25.0 if not near else 100.0,
                p99_ms=50.0 if not near else None,
            )
