"""Somebody who waits for several threads can be asked to leave at any moment, and leaves none behind."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from crashcart.running.interrupts import Interrupted, Interrupts
from crashcart.runtimes.starting import Cancelled, Starter, all_at_once
from tests.unit.running.any_moment import MOMENTS, asked_at_any_moment

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
    left = 0
    for interrupts in asked_at_any_moment(_boot_whole):
        left += interrupts.broke_off
        assert _threads() == []
    assert left > MOMENTS / 4
    assert capfd.readouterr().err == ""


def _boot_whole(interrupts: Interrupts) -> None:
    with interrupts.held():
        _boot(interrupts)


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("boot")]
