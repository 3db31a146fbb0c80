"""Two clocks: the monotonic one measures, the wall clock only labels. Steps of the latter are noted."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

STEP_S = 0.25
"""A wall clock that moves this much against the monotonic one was set by somebody."""


def now_mono_s() -> float:
    """CLOCK_MONOTONIC, shared by all processes of this machine."""
    return time.monotonic()


def wall_text() -> str:
    """UTC, for people and logs."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class RunClock:
    """Seconds from t0."""

    def __init__(self, t0_mono_s: float, wall_s: Callable[[], float] = time.time) -> None:
        self.t0_mono_s = t0_mono_s
        self._wall_s = wall_s
        self._offset_s = wall_s() - now_mono_s()
        self.t0_wall_s = t0_mono_s + self._offset_s

    def t(self) -> float:
        """Now."""
        return now_mono_s() - self.t0_mono_s

    def stepped_by_s(self) -> float:
        """How much the wall clock was set since the last call; 0 when it was left alone."""
        offset_s = self._wall_s() - now_mono_s()
        step_s = offset_s - self._offset_s
        if abs(step_s) < STEP_S:
            return 0.0
        self._offset_s = offset_s
        return step_s
