"""After the last phase: let everything settle, then take down what Prometheus and the books say."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

from crashcart.books import read_books, wait_quiesced
from crashcart.model.errors import ControlPlaneError
from crashcart.model.slo import Selector
from crashcart.running.clock import now_mono_s
from crashcart.running.crew import HARNESS_PARTS, Crew, Ended

SCRAPE_S = 1.0
"""How often Prometheus looks."""
LAST_SCRAPE_WITHIN_S = 6.0
SERIES_TRIES = 2
LOAD = "load/load"
"""The target that shoppers are counted by."""
SERVICE_METRICS = (
    "link_calls_total",
    "link_calls_started_total",
    "link_retries_total",
    "link_call_duration_seconds_bucket",
    "http_requests_total",
    "alert_firing",
    "up",
)
"""Recorded beside the SLOs' own: the services' side of the story, and which of them could be scraped."""
LOAD_METRICS = (
    "shopper_lateness_seconds_bucket",
    "shopper_intended_total",
    "shopper_events_total",
    "shopper_failures_total",
    "shopper_sessions_scheduled_total",
    "shopper_sessions_started_total",
)


def collect(crew: Crew, out: Path, ended: Ended, without: Collection[str] = ()) -> None:
    """All the judge needs that is not on disk yet. What can't be had is said in an event, and judged as missing.

    `without`: parts of the harness that died or hang. Nobody is asked who won't answer.
    """
    settled_at = crew.clock.t() if "load" in without else _wait_settled(crew)
    if ended != "broken" or not (set(HARNESS_PARTS) & set(crew.stack.dead())):
        result = wait_quiesced(crew.plan.truth, crew.stack, crew.interrupts)
        crew.event(
            "quiesced" if result.quiet else "not-quiesced",
            took_s=round(result.took_s, 3),
            pending=dict(result.pending),
        )
        rows = read_books(crew.plan.truth, crew.stack, out / "truth", crew.interrupts)
        crew.event("books-read", rows=dict(rows.rows), errors=dict(rows.errors))
    if not _can_be_asked(crew, without):
        return
    if "load" not in without:
        _wait_scraped(crew, settled_at)
    _take_series(crew)
    if step_s := crew.clock.stepped_by_s():
        crew.event("clock-step", by_s=round(step_s, 3))


def _wait_settled(crew: Crew) -> float:
    """Until no shopper is inside any more; seconds from t0."""
    deadline = now_mono_s() + crew.plan.load.patience_s + 5.0
    while True:
        try:
            status = crew.load.status()
        except ControlPlaneError as error:
            crew.event("load-error", error=str(error))
            return crew.clock.t()
        if status.state == "settled" or now_mono_s() > deadline:
            name = "load-settled" if status.state == "settled" else "load-not-settled"
            crew.event(name, in_flight=status.in_flight, scheduled=status.scheduled, started=status.started)
            return crew.clock.t()
        time.sleep(0.1)


def _wait_scraped(crew: Crew, settled_at: float) -> None:
    """Until Prometheus has looked at the load once more after it settled."""
    deadline = now_mono_s() + LAST_SCRAPE_WITHIN_S
    selector = Selector("shopper_in_flight")
    while now_mono_s() < deadline:
        wall_s = time.time()
        try:
            samples = crew.slis.reader.raw(
                selector, start_wall_s=wall_s - 5.0, end_wall_s=wall_s, t0_wall_s=crew.clock.t0_wall_s
            )
        except ControlPlaneError as error:
            crew.event("prometheus-error", error=str(error))
            return
        if any(sample.t > settled_at for sample in samples):
            return
        time.sleep(0.1)
    crew.event("prometheus-error", error="no scrape of the load after it had settled")


def _can_be_asked(crew: Crew, without: Collection[str]) -> bool:
    """Whether Prometheus answers at all. Raw samples take long, so each of those questions is given half a minute."""
    if "prometheus" in without:
        crew.event("prometheus-error", error="it was not asked for its samples any more")
        return False
    try:
        crew.slis.reader.latest(Selector("up"))
    except ControlPlaneError as error:
        crew.event("prometheus-error", error=str(error))
        return False
    return True


def _take_series(crew: Crew) -> None:
    plan, end_wall_s = crew.plan, time.time()
    start_wall_s = crew.clock.t0_wall_s - 5 * SCRAPE_S
    own = {s.metric for slo in plan.slos for s in (slo.good, slo.total, slo.settled, slo.excluded) if s}
    counted = [fault.effect.counted for fault in plan.faults if fault.effect.counted is not None]
    own |= {selector.metric for one in counted for selector in (one.part, one.whole)}
    own |= {*plan.truth.series, *LOAD_METRICS, *SERVICE_METRICS}
    failed = 0
    for metric in sorted(own):
        try:
            samples = crew.slis.reader.raw(
                Selector(metric), start_wall_s=start_wall_s, end_wall_s=end_wall_s, t0_wall_s=crew.clock.t0_wall_s
            )
        except ControlPlaneError as error:
            crew.event("prometheus-error", error=f"{metric}: {error}")
            failed += 1
            if failed == SERIES_TRIES:
                return  # it hangs: each of them would take half a minute
            continue
        crew.recorder.series(samples)
    try:
        gaps = crew.slis.reader.scrape_gaps(
            start_wall_s=crew.clock.t0_wall_s, end_wall_s=end_wall_s, longest_s=3 * SCRAPE_S, at_least=(LOAD,)
        )
    except ControlPlaneError as error:
        crew.event("prometheus-error", error=str(error))
        return
    for job, from_wall_s, to_wall_s in gaps:
        from_s, to_s = from_wall_s - crew.clock.t0_wall_s, to_wall_s - crew.clock.t0_wall_s
        crew.event("scrape-gap", job=job, from_s=round(from_s, 2), to_s=round(to_s, 2))
