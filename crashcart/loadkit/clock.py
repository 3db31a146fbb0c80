"""Time as sessions see it: seconds from t0 on this machine's monotonic clock."""

from __future__ import annotations

import time
from typing import Protocol

import gevent


class Clock(Protocol):
    """What a session asks of time; tests have one that needs no waiting."""

    def now_s(self) -> float:
        """Seconds since t0; negative before it."""

    def sleep_until(self, at_s: float) -> None:
        """Return at `at_s` or just after; at once when that has passed."""


class MonotonicClock:
    """The real one. Nothing steps it, and the harness on the same machine reads the same clock."""

    def __init__(self, t0_monotonic: float) -> None:
        """`t0_monotonic`: what `time.monotonic()` says at t0."""
        self.t0_monotonic = t0_monotonic

    def now_s(self) -> float:
        """Seconds since t0."""
        return time.monotonic() - self.t0_monotonic

    def sleep_until(self, at_s: float) -> None:
        """Gevent's timers may fire a little early (they count from the loop's last look at the clock): look again."""
        while (left_s := at_s - self.now_s()) > 0:
            gevent.sleep(left_s)
