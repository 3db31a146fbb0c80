"""Metrics every service has: requests at its door, calls on its links, its own CPU seconds.

Children are created at 0 when a route or link is declared, so that a counter exists before its first event.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from stack.kit.settings import identity

disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
"""The registry behind /metrics; services put their own counters here too."""

SERVICE = identity().name

# Edges stand exactly at the thresholds of the objectives (0.1, 0.25 and 0.5 s), so that good events are counted and
# not estimated.
BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LINK_BUCKETS_S = (0.01, 0.05, 0.25, 1.0)

OUTCOMES = ("ok", "error", "timeout", "refused", "short_circuited")

_REQUESTS = Counter("http_requests", "Requests answered", ["service", "operation", "status_class"], registry=REGISTRY)
_REQUEST_S = Histogram(
    "http_request_duration_seconds",
    "Seconds from the request's last byte to its answer",
    ["service", "operation"],
    buckets=BUCKETS_S,
    registry=REGISTRY,
)
_CALLS = Counter("link_calls", "Calls on a link by outcome", ["link", "outcome"], registry=REGISTRY)
_RETRIES = Counter("link_retries", "Calls on a link that were repeats", ["link"], registry=REGISTRY)
_CALL_S = Histogram(
    "link_call_duration_seconds", "Seconds of one call on a link", ["link"], buckets=LINK_BUCKETS_S, registry=REGISTRY
)
_BREAKER = Gauge("breaker_open", "1 while the breaker of a link lets nothing through", ["link"], registry=REGISTRY)


class _ProcessCpu(Collector):
    """CPU seconds of this process, read when scraped."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily("process_cpu_seconds", "User and system CPU seconds", value=time.process_time())

    def describe(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily("process_cpu_seconds", "User and system CPU seconds")


REGISTRY.register(_ProcessCpu())


class RequestMetrics:
    """The counters of one operation at the door."""

    __slots__ = ("_by_class", "_observe")

    def __init__(self, operation: str) -> None:
        children = [_REQUESTS.labels(SERVICE, operation, f"{digit}xx") for digit in (2, 3, 4, 5)]
        self._by_class = {digit: child.inc for digit, child in zip((2, 3, 4, 5), children, strict=True)}
        self._observe = _REQUEST_S.labels(SERVICE, operation).observe

    def record(self, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._by_class[status // 100]()
        self._observe(seconds)


class LinkMetrics:
    """The counters of one link, client → dependency; `calls[outcome]()` counts one."""

    __slots__ = ("_observe", "calls", "link", "retry", "set_breaker")

    def __init__(self, dependency: str) -> None:
        self.link = f"{SERVICE}.{dependency}"
        self.calls = {outcome: _CALLS.labels(self.link, outcome).inc for outcome in OUTCOMES}
        self.retry = _RETRIES.labels(self.link).inc
        self._observe = _CALL_S.labels(self.link).observe
        self.set_breaker = _BREAKER.labels(self.link).set

    def record(self, outcome: str, seconds: float) -> None:
        """Count one call that went on the wire."""
        self.calls[outcome]()
        self._observe(seconds)


def exposition() -> bytes:
    """The text of /metrics."""
    return generate_latest(REGISTRY)
