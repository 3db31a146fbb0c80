"""Observers, four times a second, each in a thread of its own: one that waits holds up no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from crashcart.model.errors import CrashcartError
from crashcart.model.recording import ProbeSample
from crashcart.ports import Observation, Observer

EVERY_S = 0.25
STOP_WITHIN_S = 3.0


class ObserverRunner:
    """Implements `ports.Probes` for faults whose effect no probe of a proxy can show."""

    def __init__(
        self, observers: Sequence[tuple[str, Observer]], sink: Callable[[ProbeSample], None], t0_mono: float
    ) -> None:
        """`observers`: (fault id, observer). `sink` gets each sample, in the observer's thread; `t` from `t0_mono`."""
        self._sink = sink
        self._t0 = t0_mono
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(fault_id, observer), name=f"observer {fault_id}", daemon=True)
            for fault_id, observer in observers
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End. One that hangs is left behind: it is a daemon."""
        self._stopping.set()
        until = time.monotonic() + STOP_WITHIN_S
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(until - time.monotonic(), 0.01))

    def _run(self, fault_id: str, observer: Observer) -> None:
        due = time.monotonic()
        while not self._stopping.wait(max(due - time.monotonic(), 0.0)):
            due = max(due + EVERY_S, time.monotonic())
            self._look(fault_id, observer)
        observer.close()

    def _look(self, fault_id: str, observer: Observer) -> None:
        began = time.monotonic()
        try:
            seen = observer.look()
        except (CrashcartError, OSError) as problem:
            seen = Observation(there=False, note=f"could not look: {problem}"[:200])
        # the moment in the middle of the look, or of what it tells of: that was there about then
        ended = time.monotonic()
        self._sink(
            ProbeSample(
                t=round((began + ended) / 2 - seen.ago_s - self._t0, 4),
                proxy=fault_id,
                side="observed",
                ok=seen.there,
                ms=round((ended - began) * 1000, 3),
                error=seen.note,
                value=seen.value,
                part=seen.part,
                whole=seen.whole,
            )
        )
