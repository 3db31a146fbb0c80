"""The shop's own alerts: would somebody have been paged? By a fast burn rate over two short windows.

The rule is the one that pagers commonly have: the error budget burns 14.4 times too fast over a long window and over a
twelfth or so of it, so that a single bad second pages nobody and the alert ends soon after its cause. Those windows are
an hour and five minutes in a month; here, where days are squeezed into minutes, they are ten seconds and two.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic
from typing import NamedTuple

from prometheus_client import Gauge

from stack.kit.log import log
from stack.kit.metrics import REGISTRY

LONG_S = 10.0
SHORT_S = 2.0
BURN = 14.4
LEAST_BAD = 5
"""Within the long window: four that fail in a quiet night wake nobody."""
LOOK_S = 0.5


class Counts(NamedTuple):
    """All and bad events since the start, and the objective that they are held against."""

    all: int
    bad: int
    objective: float = 0.99


_firing = Gauge("alert_firing", "1 while an alert of the shop's own fires", ["alert"], registry=REGISTRY)


class BurnRate:
    """One alert over counters that only grow."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int, int]] = deque()

    def firing(self, counts: Counts) -> bool:
        """Whether it fires now that the counters stand so."""
        now = self._clock()
        self._seen.append((now, counts.all, counts.bad))
        while len(self._seen) > 1 and self._seen[1][0] <= now - LONG_S:
            self._seen.popleft()
        share = BURN * (1 - counts.objective)
        return self._burns(now - LONG_S, share, LEAST_BAD) and self._burns(now - SHORT_S, share, 1)

    def _burns(self, since: float, share: float, least: int) -> bool:
        _, all_now, bad_now = self._seen[-1]
        _, all_then, bad_then = next(seen for seen in reversed(self._seen) if seen[0] <= since or seen is self._seen[0])
        bad = bad_now - bad_then
        return bad >= least and bad >= share * (all_now - all_then)


class Alerts:
    """All of them, looked at twice a second. An alert whose counters are new is at 0 from then on."""

    def __init__(self, read: Callable[[], Mapping[str, Counts]]) -> None:
        """`read` gives the counters of each alert by its name."""
        self._read = read
        self._rates: dict[str, BurnRate] = {}
        self._firing: dict[str, bool] = {}
        self.look()

    @property
    def firing(self) -> tuple[str, ...]:
        """Names of those that fire."""
        return tuple(name for name, is_on in self._firing.items() if is_on)

    def look(self) -> None:
        """Look once."""
        for name, counts in self._read().items():
            if name not in self._rates:
                self._rates[name] = BurnRate()
                _firing.labels(name).set(0)
            is_on = self._rates[name].firing(counts)
            if is_on != self._firing.get(name, False):
                log("alert-fires" if is_on else "alert-ends", level="error" if is_on else "info", alert=name)
                _firing.labels(name).set(int(is_on))
            self._firing[name] = is_on

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()
