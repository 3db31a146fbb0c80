"""A request to leave, between any two steps of what is under way."""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from crashcart.running.interrupts import Interrupted, Interrupts

MOMENTS = 300


def asked_at_any_moment(act: Callable[[Interrupts], object]) -> Iterator[Interrupts]:
    """Do it so often, each time with a signal a little later; what came of each."""
    once_s = _takes_s(act)
    for moment in range(1, MOMENTS + 1):
        interrupts = Interrupts()
        with interrupts.handled():
            before = signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGINT))
            with suppress(Interrupted), interrupts.raising():
                signal.setitimer(signal.ITIMER_REAL, once_s * 1.2 * moment / MOMENTS)
                act(interrupts)
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        yield interrupts


def _takes_s(act: Callable[[Interrupts], object]) -> float:
    """As a rule: a busy machine makes some of them much longer."""
    took_s = []
    for _ in range(21):
        began = time.perf_counter()
        act(Interrupts())
        took_s.append(time.perf_counter() - began)
    return statistics.median(took_s)
