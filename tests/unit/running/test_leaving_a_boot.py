"""Somebody who waits for several threads can be asked to leave at any moment, and leaves none behind."""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time
from contextlib import suppress

import pytest

from crashcart.running.interrupts import Interrupted, Interrupts
from crashcart.runtimes.starting import Cancelled, Starter, all_at_once

MOMENTS = 300
THREADS = 4


def _boot(interrupts: Interrupts, *, for_ever: bool = False) -> None:
    starter = Starter()

    def look() -> None:
        if interrupts.wanted:
            raise Cancelled

    def act() -> None:
        while for_ever:
            starter.pause()

    all_at_once([act] * THREADS, starter, look)


def test_threads_that_would_wait_for_ever_do_not_keep_anybody() -> None:
    interrupts = Interrupts()
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with interrupts.handled(), pytest.raises(Interrupted), interrupts.raising(), interrupts.held():
        _boot(interrupts, for_ever=True)
    assert time.monotonic() - began < 3.0, "longer than a look"
    assert _threads() == []


def test_a_request_between_any_two_steps_leaves_no_thread_and_no_word(capfd: pytest.CaptureFixture[str]) -> None:
    once_s = _takes_s()
    left = 0
    for moment in range(1, MOMENTS + 1):
        interrupts = Interrupts()
        with interrupts.handled():
            before = signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGINT))
            with suppress(Interrupted), interrupts.raising(), interrupts.held():
                signal.setitimer(signal.ITIMER_REAL, once_s * 1.2 * moment / MOMENTS)
                _boot(interrupts)
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        left += interrupts.broke_off
        assert _threads() == []
    assert left > MOMENTS / 4
    assert capfd.readouterr().err == ""


def _takes_s() -> float:
    """As a rule: a busy machine makes some of them much longer."""
    took_s = []
    for _ in range(21):
        began = time.perf_counter()
        _boot(Interrupts())
        took_s.append(time.perf_counter() - began)
    return statistics.median(took_s)


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("boot")]
