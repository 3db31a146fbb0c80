"""Metrics every service has: requests at its door, calls on its links, its own CPU seconds.

The counters that every request touches are plain numbers here, written out by hand when scraped: an event costs a
fifth of what prometheus_client's own counters cost, and a scrape a twentieth. What a service counts beside them, it
counts with prometheus_client in `REGISTRY`. Everything exists at 0 as soon as its route or link is declared.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest

from stack.kit.settings import identity

disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
"""The registry behind /metrics for a service's own counters."""

SERVICE = identity().name

# Edges stand exactly at the objectives' thresholds (0.1, 0.25 and 0.5 s): good events are counted and not estimated.
BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LINK_BUCKETS_S = (0.01, 0.05, 0.25, 1.0)

OUTCOMES = ("ok", "error", "timeout", "refused", "short_circuited", "saturated")
"""How a call on a link went. The last two were never on the wire: the breaker was open, or no connection was free."""


class Places(NamedTuple):
    """How full something bounded is at this moment: `busy` of `size` places are taken, so many wait for one."""

    busy: int
    size: int
    waiting: int = 0


class _Family:
    """All samples of one metric, in the order in which they were declared."""

    def __init__(self, name: str, kind: str, help_text: str) -> None:
        self._head = f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"
        self._members: list[Callable[[], Iterator[str]]] = []

    def add(self, samples: Callable[[], Iterator[str]]) -> None:
        self._members.append(samples)

    def text(self) -> str:
        return self._head + "".join(line for samples in self._members for line in samples())


_REQUESTS = _Family("http_requests_total", "counter", "Requests answered")
_REQUEST_S = _Family("http_request_duration_seconds", "histogram", "Seconds from a request's last byte to its answer")
_CALLS = _Family("link_calls_total", "counter", "Calls on a link by outcome")
_STARTED = _Family("link_calls_started_total", "counter", "Calls on a link, counted when they begin")
_RETRIES = _Family("link_retries_total", "counter", "Calls on a link that were repeats")
_CALL_S = _Family("link_call_duration_seconds", "histogram", "Seconds of one call on a link")
_BREAKER = _Family("breaker_open", "gauge", "1 while the breaker of a link lets nothing through")
_CPU = _Family("process_cpu_seconds_total", "counter", "User and system CPU seconds of this process")
_CPU.add(lambda: iter([f"process_cpu_seconds_total {time.process_time()}\n"]))
_POOL_BUSY = _Family("link_pool_busy", "gauge", "Connections of a link that are at work, or commands under way on one")
_POOL_SIZE = _Family("link_pool_size", "gauge", "How many of them there may be")
_POOL_WAITING = _Family("link_pool_waiting", "gauge", "Callers who wait for one")
_IN_FLIGHT = _Family("http_requests_in_flight", "gauge", "Requests of a group that are at work")
_IN_FLIGHT_LIMIT = _Family("http_requests_in_flight_limit", "gauge", "How many of them there may be; more are refused")
_FAMILIES = (
    *(_REQUESTS, _REQUEST_S, _CALLS, _STARTED, _RETRIES, _CALL_S, _BREAKER, _CPU),
    *(_POOL_BUSY, _POOL_SIZE, _POOL_WAITING, _IN_FLIGHT, _IN_FLIGHT_LIMIT),
)

_groups: dict[str, Callable[[], Places]] = {}
_IN_FLIGHT.add(lambda: _of_groups("http_requests_in_flight", lambda places: places.busy))
_IN_FLIGHT_LIMIT.add(lambda: _of_groups("http_requests_in_flight_limit", lambda places: places.size))


class _Seconds:
    """A histogram: how many events took at most so many seconds."""

    __slots__ = ("_edges", "_heads", "counts", "sum_s")

    def __init__(self, name: str, labels: str, edges_s: tuple[float, ...]) -> None:
        self._edges = edges_s
        self.counts = [0] * (len(edges_s) + 1)
        self.sum_s = 0.0
        buckets = [f'{name}_bucket{{{labels},le="{edge}"}} ' for edge in (*edges_s, "+Inf")]
        self._heads = (buckets, f"{name}_count{{{labels}}} ", f"{name}_sum{{{labels}}} ")

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self._edges, seconds)] += 1
        self.sum_s += seconds

    def samples(self) -> Iterator[str]:
        buckets, count, total = self._heads
        events = 0
        for head, more in zip(buckets, self.counts, strict=True):
            events += more
            yield f"{head}{events}\n"
        yield f"{count}{events}\n"
        yield f"{total}{self.sum_s}\n"


class RequestMetrics:
    """The counters of one operation at the door; get them with `request_metrics`."""

    __slots__ = ("_labels", "_seconds", "by_class")

    def __init__(self, operation: str) -> None:
        self._labels = f'service="{SERVICE}",operation="{operation}"'
        self._seconds = _Seconds("http_request_duration_seconds", self._labels, BUCKETS_S)
        self.by_class = [0, 0, 0, 0]
        _REQUESTS.add(self._samples)
        _REQUEST_S.add(self._seconds.samples)

    def record(self, status: int, seconds: float) -> None:
        """Count one answered request, of a status from 200 on."""
        self.by_class[status // 100 - 2] += 1
        self._seconds.observe(seconds)

    def slower_than(self, edge_s: float) -> int:
        """How many took longer; `edge_s` is one of the buckets' edges."""
        return sum(self._seconds.counts[BUCKETS_S.index(edge_s) + 1 :])

    def _samples(self) -> Iterator[str]:
        for index, count in enumerate(self.by_class):
            yield f'http_requests_total{{{self._labels},status_class="{index + 2}xx"}} {count}\n'


class LinkMetrics:
    """The counters of one link, client → dependency; get them with `link_metrics`.

    A call that hangs is counted in `calls` only when it is given up. So each that comes to the wire is counted in
    `started` before: when its request is written, or when the link turns it away before that.
    """

    __slots__ = ("_places", "_seconds", "breaker_open", "calls", "link", "retries", "started")

    def __init__(self, dependency: str) -> None:
        self.link = f"{SERVICE}.{dependency}"
        self.calls = dict.fromkeys(OUTCOMES, 0)
        self.started = 0
        self.retries = 0
        self.breaker_open = False
        self._places: Callable[[], Places] | None = None
        self._seconds = _Seconds("link_call_duration_seconds", f'link="{self.link}"', LINK_BUCKETS_S)
        _CALLS.add(self._samples)
        _STARTED.add(lambda: iter([f'link_calls_started_total{{link="{self.link}"}} {self.started}\n']))
        _RETRIES.add(lambda: iter([f'link_retries_total{{link="{self.link}"}} {self.retries}\n']))
        _CALL_S.add(self._seconds.samples)
        _BREAKER.add(lambda: iter([f'breaker_open{{link="{self.link}"}} {int(self.breaker_open)}\n']))
        _POOL_BUSY.add(lambda: self._room("link_pool_busy", lambda places: places.busy))
        _POOL_SIZE.add(lambda: self._room("link_pool_size", lambda places: places.size))
        _POOL_WAITING.add(lambda: self._room("link_pool_waiting", lambda places: places.waiting))

    def start(self) -> None:
        """Count one call whose request is about to be written; `record` follows when it has ended."""
        self.started += 1

    def record(self, outcome: str, seconds: float) -> None:
        """Count one call that was tried."""
        self.calls[outcome] += 1
        self._seconds.observe(seconds)

    def refuse(self, outcome: str) -> None:
        """Count one call that was given up before anything was sent: refused, short_circuited or saturated."""
        self.calls[outcome] += 1
        if outcome == "refused":  # the others have not met the link
            self.started += 1

    def retry(self) -> None:
        """Count one repeat."""
        self.retries += 1

    def set_breaker(self, is_open: bool) -> None:
        """The breaker has opened or closed."""
        self.breaker_open = is_open

    def watch(self, places: Callable[[], Places]) -> None:
        """From now on each scrape asks so how full the link's pool is; nothing is counted as calls come and go."""
        self._places = places

    def _room(self, name: str, figure: Callable[[Places], int]) -> Iterator[str]:
        if self._places is not None:
            yield f'{name}{{link="{self.link}"}} {figure(self._places())}\n'

    def _samples(self) -> Iterator[str]:
        for outcome, count in self.calls.items():
            yield f'link_calls_total{{link="{self.link}",outcome="{outcome}"}} {count}\n'


@cache
def request_metrics(operation: str) -> RequestMetrics:
    """The counters of an operation: the same ones for the same name."""
    return RequestMetrics(operation)


@cache
def link_metrics(dependency: str) -> LinkMetrics:
    """The counters of a link: the same ones for the same dependency."""
    return LinkMetrics(dependency)


def watch_group(name: str, places: Callable[[], Places]) -> None:
    """From now on each scrape asks so how many requests of that group are at work, and how many may be."""
    _groups[name] = places


def _of_groups(name: str, figure: Callable[[Places], int]) -> Iterator[str]:
    for group, places in _groups.items():
        yield f'{name}{{service="{SERVICE}",group="{group}"}} {figure(places())}\n'


def exposition() -> bytes:
    """The text of /metrics."""
    return "".join(family.text() for family in _FAMILIES).encode() + generate_latest(REGISTRY)
