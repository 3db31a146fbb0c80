"""How much of the time a process is stopped, sampled from /proc by a thread of its own."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

from crashcart.model.topology import Topology
from crashcart.ports import Observation
from crashcart.runtimes.procfs import read_process
from crashcart.runtimes.stopping import pids_of

WINDOW_S = 2.0
"""What an answer tells of: this long before it at most."""
PAUSE_S = 0.25
"""Not stopped for so long, it is not slowed any more: what was before is another story."""
_EVERY_S = (0.003, 0.007)
"""Drawn anew each time, so that no rhythm of the hog's can fall in with ours."""
_LOOK_AGAIN_S = 1.0


class StoppedShare:
    """Implements `ports.Observer`: the share of time in which the first process of each instance was stopped."""

    def __init__(self, topology: Topology, instances: Sequence[str], share: float, within: float) -> None:
        """There when, of every instance, it is `share` ± `within`."""
        self._topology = topology
        self._instances = tuple(instances)
        self._share, self._within = share, within
        known = ((name, topology.instance(name).process) for name in self._instances)
        self._pids = {name: process.pid for name, process in known if process is not None}
        self._sought_at = dict.fromkeys(self._instances, -_LOOK_AGAIN_S)
        self._samples: deque[tuple[float, tuple[bool, ...]]] = deque()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="stopped share", daemon=True)

    def look(self) -> Observation:
        """Its value is the share of the instance that is furthest from the declared one, since slowing it began."""
        if not self._thread.is_alive():
            self._thread.start()
            self._stopping.wait(PAUSE_S)
        with self._lock:
            samples = list(self._samples)
        shares = [share_of([(at, stopped[index]) for at, stopped in samples]) for index in range(len(self._instances))]
        worst = max(shares, key=lambda share: abs(share - self._share))
        there = abs(worst - self._share) <= self._within
        return Observation(there=there, value=round(worst, 3), note="" if samples else "nothing was sampled")

    def close(self) -> None:
        """End the thread."""
        self._stopping.set()

    def _sample(self) -> None:
        while not self._stopping.wait(random.uniform(*_EVERY_S)):
            stopped = tuple(self._is_stopped(instance) for instance in self._instances)
            now = time.monotonic()
            with self._lock:
                self._samples.append((now, stopped))
                while self._samples[0][0] < now - WINDOW_S:
                    self._samples.popleft()

    def _is_stopped(self, instance: str) -> bool:
        row = read_process(self._pids[instance]) if instance in self._pids else None
        if row is not None and row.lives:
            return row.state == "T"
        if time.monotonic() - self._sought_at[instance] >= _LOOK_AGAIN_S:
            self._sought_at[instance] = time.monotonic()
            found = pids_of(self._topology, instance)
            if found:
                self._pids[instance] = min(found)
        return False


def share_of(samples: Sequence[tuple[float, bool]]) -> float:
    """The share of time, by samples (at, stopped) in order, since the last pause in which nothing was stopped.

    A sample counts for as long as it took until the next one. 0 where the pause lasts still.
    """
    began, last_stopped = len(samples), samples[-1][0] if samples else 0.0
    for index in range(len(samples) - 1, -1, -1):
        at, stopped = samples[index]
        if last_stopped - at > PAUSE_S:
            break
        if stopped:
            began, last_stopped = index, at
    spans = [(later - at, stopped) for (at, stopped), (later, _) in pairwise(samples[began:])]
    whole = sum(span for span, _ in spans)
    return sum(span for span, stopped in spans if stopped) / whole if whole else 0.0
