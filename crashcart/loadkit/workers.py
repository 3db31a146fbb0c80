"""Greenlets that serve one session after another.

A greenlet of its own for each session costs as much as a request: its stack of Python frames is mapped and unmapped by
the kernel each time. So one that is done waits for the next; there are as many as there ever were sessions at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import gevent
from gevent import get_hub
from gevent.event import Event

Job = TypeVar("Job")


class Workers(Generic[Job]):
    """Serves each job in a greenlet, at once: they are never queued for one that is busy."""

    def __init__(self, serve: Callable[[Job], None]) -> None:
        """`serve` lets nothing out but GreenletExit, which it may also swallow."""
        self._serve = serve
        self._idle: list[Callable[[Job], object]] = []
        """What wakes each up, the one that was busy last at the end."""
        self._all: set[gevent.Greenlet[..., None]] = set()
        self._busy = 0
        self._over = Event()
        self._ended = False

    def begin(self, job: Job) -> None:
        """Serve it from the loop's next turn on, after those begun before it."""
        self._busy += 1
        if self._idle:
            get_hub().loop.run_callback(self._idle.pop(), job)
        else:
            worker = gevent.spawn(self._work, job)
            self._all.add(worker)
            worker.rawlink(self._all.discard)

    def join(self, timeout_s: float) -> None:
        """Wait until nobody is served any more, or that long."""
        self._over.clear()
        if self._busy:
            self._over.wait(timeout_s)

    def end(self, timeout_s: float) -> None:
        """End all: GreenletExit in those that serve, and up to `timeout_s` for them to leave. Idempotent."""
        self._ended = True
        self._idle.clear()
        gevent.killall(list(self._all), block=True, timeout=timeout_s)

    def _work(self, job: Job) -> None:
        hub, wake_me = get_hub(), gevent.getcurrent().switch
        while True:
            try:
                self._serve(job)
            finally:
                self._busy -= 1
                if not self._busy:
                    self._over.set()
            if self._ended:
                return
            self._idle.append(wake_me)
            job = hub.switch()
