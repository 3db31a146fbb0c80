"""A wall clock that somebody sets, or that is driven away slowly, is noticed."""

from __future__ import annotations

import time

import pytest

from crashcart.running import drive
from crashcart.running.clock import RunClock, now_mono_s
from crashcart.running.drive import Timeline
from tests.unit.running.fakes import FakeReader
from tests.unit.running.test_timeline import _crew, _healthy, demo, fast


class Wall:
    """The machine's clock, and somebody's hand on it."""

    def __init__(self) -> None:
        self.set_by_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.set_by_s


@pytest.mark.parametrize("by_s", [3600.0, -3600.0, 0.5, -0.3])
def test_a_step_is_told_once_with_its_size(by_s: float) -> None:
    wall = Wall()
    clock = RunClock(now_mono_s(), wall)
    assert clock.stepped_by_s() == 0.0
    wall.set_by_s = by_s
    assert clock.stepped_by_s() == pytest.approx(by_s, abs=0.05)
    assert clock.stepped_by_s() == 0.0
    wall.set_by_s = 0.0
    assert clock.stepped_by_s() == pytest.approx(-by_s, abs=0.05)


def test_a_clock_that_is_driven_away_slowly_is_noticed_when_it_is_far_enough() -> None:
    wall = Wall()
    clock = RunClock(now_mono_s(), wall)
    told = []
    for _ in range(7):
        wall.set_by_s += 0.1
        told.append(clock.stepped_by_s())
    assert [bool(step_s) for step_s in told] == [False, False, True, False, False, True, False]


def test_seconds_of_the_run_do_not_step_with_the_wall_clock() -> None:
    wall = Wall()
    clock = RunClock(now_mono_s(), wall)
    wall.set_by_s = -3600.0
    assert 0.0 <= clock.t() < 1.0


def test_a_step_during_a_run_is_put_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "LOOK_EVERY_S", 0.1)
    made = fast(demo())
    run = _crew(made, FakeReader(_healthy(made)))
    wall = Wall()
    run.crew.clock = RunClock(now_mono_s(), wall)
    wall.set_by_s = 60.0
    Timeline(run.crew).drive()
    assert [round(step["by_s"]) for step in run.recorder.named("clock-step")] == [60]
