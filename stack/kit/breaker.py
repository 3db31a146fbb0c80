"""A circuit breaker that small cohorts can trip: by a ratio over a window, or by failures in a row."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic


class Breaker:
    """A circuit breaker.

    It opens when, of at least `min_calls` within `window_s`, `failure_ratio` failed, or when `in_a_row` failed in a
    row.

    Open for `open_s`, then one call at a time is let through (half-open); its success closes the breaker.
    A probe whose outcome is never recorded frees its place after `open_s`.
    """

    def __init__(
        self,
        min_calls: int = 10,
        window_s: float = 5,
        failure_ratio: float = 0.5,
        open_s: float = 1.0,
        in_a_row: int = 5,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._min_calls = min_calls
        self._window_s = window_s
        self._failure_ratio = failure_ratio
        self._open_s = open_s
        self._in_a_row = in_a_row
        self._clock = clock
        self._calls: deque[tuple[float, bool]] = deque()
        self._failures = 0
        self._streak = 0
        self._open_until: float | None = None
        self._probing = False
        self.on_change: Callable[[bool], None] = lambda _open: None

    @property
    def is_open(self) -> bool:
        """Whether calls are refused or only probed now."""
        return self._open_until is not None

    def allow(self) -> bool:
        """Whether a call may go out; in the half-open state this hands out the one probe."""
        if self._open_until is None:
            return True
        now = self._clock()
        if now < self._open_until:
            return False
        self._open_until = now + self._open_s
        self._probing = True
        return True

    def retry_after_s(self) -> float:
        """Seconds until the next probe may go out; 0 when closed."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - self._clock())

    def record(self, ok: bool) -> None:
        """Tell how a call that was allowed ended."""
        now = self._clock()
        if self._open_until is not None:
            if ok:
                self._close()
            elif self._probing:  # a straggler from before the opening does not keep the breaker open longer
                self._probing = False
                self._open_until = now + self._open_s
            return
        self._calls.append((now, ok))
        if ok:
            self._streak = 0
        else:
            self._failures += 1
            self._streak += 1
        oldest = now - self._window_s
        while self._calls[0][0] < oldest or len(self._calls) > 1000:
            if not self._calls.popleft()[1]:
                self._failures -= 1
        if not ok and self._should_open():
            self._open_until = now + self._open_s
            self.on_change(True)

    def _should_open(self) -> bool:
        if self._streak >= self._in_a_row:
            return True
        return len(self._calls) >= self._min_calls and self._failures >= self._failure_ratio * len(self._calls)

    def _close(self) -> None:
        self._open_until = None
        self._probing = False
        self._calls.clear()
        self._failures = 0
        self._streak = 0
        self.on_change(False)
