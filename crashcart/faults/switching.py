"""A fault that comes and goes by a schedule, kept going by a thread of the harness."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from crashcart.model.errors import ControlPlaneError
from crashcart.model.plan import Slices

END_WITHIN_S = 3.0
"""Longer than the calls to a control plane that may be under way; one that hangs is not waited for."""


def draw_slices(share: float, slice_s: float, lasts_s: float, stream: str) -> Slices:
    """Whole slices, drawn so that `share` of them, rounded, are in; neighbours are made one. The same for one stream.

    Raises:
        ValueError: the time is too short for a share of its slices: all of them would be in, or none.
    """
    n = int(lasts_s / slice_s + 1e-9)
    wanted = round(share * n)
    if not 0 < wanted < n:
        raise ValueError(f"{share:.0%} of {n} slices of {slice_s:g} s are {wanted}")
    drawn = sorted(random.Random(stream).sample(range(n), wanted))
    slices: list[tuple[float, float]] = []
    for index in drawn:
        from_s, to_s = round(index * slice_s, 6), round((index + 1) * slice_s, 6)
        if slices and slices[-1][1] == from_s:
            slices[-1] = (slices[-1][0], to_s)
        else:
            slices.append((from_s, to_s))
    return tuple(slices)


@dataclass(frozen=True, slots=True)
class Act:
    """What a switch does. Each may raise ControlPlaneError, and returns within seconds."""

    allowed: Callable[[], bool]
    """Whether the fault is still on, as everybody can see who may have taken it back."""
    on: Callable[[], None]
    off: Callable[[], None]


class Switch:
    """Implements `ports.Holder`. On at the start of each slice, off at its end; off for good when it is closed.

    The harness may hang, or be stopped for a while, and the watchdog undo the fault meanwhile. So it asks whether it
    is still allowed to before it switches on, and once more afterwards: whoever came in between finds it switched off.
    """

    def __init__(self, slices: Slices, act: Act, name: str) -> None:
        """Begins at once; slices count from now."""
        self._slices = slices
        self._act = act
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, switched off if that can be done. Idempotent."""
        self._stopping.set()
        self._thread.join(END_WITHIN_S)

    def _run(self) -> None:
        try:
            for from_s, to_s in self._slices:
                self._wait(from_s)
                if self._stopping.is_set():
                    return
                # a slice that was slept through (the machine, or we, stood still) is not made up for
                if time.monotonic() < self._began + to_s and not self._act_until(to_s):
                    return
        except ControlPlaneError:
            # what can't be switched is not seen to act: the evidence will say so, and the undo comes by another way
            return

    def _act_until(self, to_s: float) -> bool:
        """Whether it is still allowed to act."""
        if not self._act.allowed():
            return False
        try:
            self._act.on()
            if not self._act.allowed():
                return False
            self._wait(to_s)
        finally:
            self._act.off()
        return True

    def _wait(self, until_s: float) -> None:
        self._stopping.wait(max(self._began + until_s - time.monotonic(), 0.0))
