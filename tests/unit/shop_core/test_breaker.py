"""The breaker: trips on a ratio and on a streak, lets one probe through, closes on success."""

from __future__ import annotations

from stack.kit.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_five_failures_in_a_row_open_it_so_that_a_small_cohort_can_trip_it() -> None:
    breaker = Breaker(clock=Clock())
    for _ in range(5):
        assert breaker.allow()
        breaker.record(False)

    assert not breaker.allow()
    assert breaker.is_open


def test_half_of_ten_calls_open_it() -> None:
    breaker = Breaker(clock=Clock())
    for number in range(9):
        breaker.record(number % 2 == 0)
    assert breaker.allow()

    breaker.record(False)

    assert not breaker.allow()


def test_failures_outside_the_window_are_forgotten() -> None:
    clock = Clock()
    breaker = Breaker(window_s=5, in_a_row=100, clock=clock)
    for _ in range(9):
        breaker.record(False)
    clock.now_s += 6

    for _ in range(8):
        breaker.record(True)
    breaker.record(False)

    assert breaker.allow()


def test_open_it_lets_one_probe_through_after_a_while_and_closes_on_its_success() -> None:
    clock = Clock()
    breaker = Breaker(open_s=1.0, clock=clock)
    for _ in range(5):
        breaker.record(False)
    assert breaker.retry_after_s() == 1.0
    clock.now_s += 1.0

    assert [breaker.allow(), breaker.allow()] == [True, False]
    breaker.record(True)

    assert not breaker.is_open
    assert breaker.allow()


def test_a_failed_probe_keeps_it_open_and_a_lost_one_does_not_block_it_for_ever() -> None:
    clock = Clock()
    breaker = Breaker(open_s=1.0, clock=clock)
    for _ in range(5):
        breaker.record(False)
    clock.now_s += 1.0
    assert breaker.allow()
    breaker.record(False)
    assert not breaker.allow()

    clock.now_s += 1.0
    assert breaker.allow()  # and nobody ever hears of this one again
    clock.now_s += 1.0

    assert breaker.allow()


def test_stragglers_from_before_do_not_keep_it_open_longer() -> None:
    clock = Clock()
    breaker = Breaker(open_s=1.0, clock=clock)
    for _ in range(5):
        breaker.record(False)
    clock.now_s += 0.9
    breaker.record(False)
    clock.now_s += 0.1

    assert breaker.allow()


def test_it_tells_when_it_opens_and_closes() -> None:
    clock = Clock()
    breaker = Breaker(open_s=1.0, clock=clock)
    told: list[bool] = []
    breaker.on_change = told.append
    for _ in range(7):
        breaker.record(False)
    clock.now_s += 1.0
    breaker.allow()
    breaker.record(True)

    assert told == [True, False]
