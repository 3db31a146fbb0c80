"""Counters of a made-up run: what a load would have exposed of its purchases, and what would have been scraped."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol

from crashcart.model.recording import SeriesSample

SCRAPED_AFTER_S = 4
"""So long after the end everything is scraped still."""


class Counted(Protocol):
    """What is counted of a purchase."""

    planned_s: float
    outcome: str
    latency_ms: float
    honest: bool


class Counts:
    """Counters, by the second in which they grew, scraped from a second before a run until some seconds after it."""

    def __init__(self, start_s: int, end_s: int) -> None:
        self._start_s, self._end_s = start_s, end_s
        self._grown: dict[tuple[str, tuple[tuple[str, str], ...]], Counter[int]] = {}

    def add(self, metric: str, second: int, labels: dict[str, str], n: int = 1) -> None:
        self._grown.setdefault((metric, tuple(sorted(labels.items()))), Counter())[second] += n

    def totals(self) -> list[dict[str, Any]]:
        """As the load writes them down at its end."""
        return [
            {"metric": metric, "labels": dict(pairs), "value": by_second.total()}
            for (metric, pairs), by_second in self._grown.items()
        ]

    def samples(self, unscraped: Collection[int] = (), *, thin: bool = False) -> list[SeriesSample]:
        """One a second, but for seconds in which no scrape came through; `thin`: as the recorder keeps them."""
        found = []
        for (metric, pairs), by_second in self._grown.items():
            labels = json.dumps({**dict(pairs), "job": "load"}, sort_keys=True)
            readings, value = [(self._start_s - 1.0, 0)], 0
            for second in range(self._start_s, self._end_s + SCRAPED_AFTER_S):
                value += by_second[second]
                if second not in unscraped:
                    readings.append((second + 0.9999, value))
            found += [SeriesSample(metric, labels, t, float(n)) for t, n in (_thinned(readings) if thin else readings)]
        return found


def _thinned(readings: Sequence[tuple[float, int]]) -> Iterator[tuple[float, int]]:
    """The first and the last of each run of equal ones."""
    values = [None, *(n for _, n in readings), None]
    for (t, n), before, after in zip(readings, values, values[2:], strict=False):
        if not before == n == after:
            yield t, n


OUTCOMES = ("ok", "declined", "sold_out", "failed", "unknown", "gave_up", "blocked")
BUCKET = "shopper_latency_seconds_bucket"


def create(counts: Counts, where: dict[str, str]) -> None:
    counts.add("shopper_intended_total", 0, where, 0)
    for outcome in OUTCOMES:
        counts.add("shopper_events_total", 0, {**where, "sli": "purchase", "outcome": outcome}, 0)
    for honest in ("yes", "no"):
        counts.add("shopper_failures_total", 0, {**where, "honest": honest}, 0)
    for le in ("0.5", "+Inf"):
        counts.add(BUCKET, 0, {**where, "sli": "checkout", "le": le}, 0)


def count_one(counts: Counts, one: Counted, where: dict[str, str]) -> None:
    done = int(one.planned_s + one.latency_ms / 1000)
    counts.add("shopper_intended_total", int(one.planned_s), where)
    counts.add("shopper_events_total", done, {**where, "sli": "purchase", "outcome": one.outcome})
    if one.outcome not in ("blocked", "gave_up"):
        quick = one.outcome in ("ok", "declined", "sold_out") and one.latency_ms <= 500
        counts.add(BUCKET, done, {**where, "sli": "checkout", "le": "0.5"}, int(quick))
        counts.add(BUCKET, done, {**where, "sli": "checkout", "le": "+Inf"})
    if one.outcome in ("failed", "unknown"):
        counts.add("shopper_failures_total", done, {**where, "honest": "yes" if one.honest else "no"})
