"""Which hits a pass may follow."""

from __future__ import annotations

import pytest

from crashcart.model.plan import Phase
from crashcart.model.recording import Event
from crashcart.selftest.passing import Course, Planned, course_of, must_not_pass
from crashcart.selftest.striking import BOTH, INTERRUPT, KILL, STOP, TARGETS, Hit

COURSE = Course(phases=((101.0, 105.0), (105.0, 109.0), (109.0, 114.0)), settled_s=114.4, faults=((105.0, 108.0),))
"""Warm-up from 100 to 101."""


def _for_good(target: str, at_s: float, deed: str = KILL) -> Hit:
    return Hit(target, deed, at_s, None)


def _stopped(target: str, from_s: float, until_s: float) -> Hit:
    return Hit(target, STOP, from_s, until_s)


@pytest.mark.parametrize("target", [*TARGETS, BOTH])
@pytest.mark.parametrize("at_s", [50.0, 100.5, 107.0, 114.3])
def test_who_is_killed_before_the_load_has_settled_was_needed(target: str, at_s: float) -> None:
    assert must_not_pass(_for_good(target, at_s), COURSE)


@pytest.mark.parametrize("target", [*TARGETS, BOTH])
def test_a_run_whose_load_never_settled_must_not_pass_after_a_kill_at_any_time(target: str) -> None:
    assert must_not_pass(_for_good(target, 1000.0), Course(phases=COURSE.phases))
    assert must_not_pass(_for_good(target, 1000.0), Course())


@pytest.mark.parametrize("target", TARGETS)
def test_who_is_killed_when_all_is_over_was_not_needed_any_more(target: str) -> None:
    assert must_not_pass(_for_good(target, 114.4), COURSE) == ""


def test_the_watchdog_ignores_an_interrupt_and_nobody_else_may() -> None:
    assert must_not_pass(_for_good("watchdog", 107.0, INTERRUPT), COURSE) == ""
    for target in TARGETS[:-1]:
        assert must_not_pass(_for_good(target, 107.0, INTERRUPT), COURSE)


@pytest.mark.parametrize(
    ("hit", "must_not"),
    [
        (_stopped("load", 103.0, 103.25), False),
        (_stopped("load", 103.0, 103.35), True),
        (_stopped("load", 99.0, 101.25), False),  # in warm-up nothing is judged
        (_stopped("load", 99.0, 101.35), True),
        (_stopped("load", 104.9, 105.1), False),  # a little of either phase
        (_stopped("load", 113.9, 118.0), False),  # nobody was to come any more
        (_stopped("prometheus", 103.0, 107.4), False),
        (_stopped("prometheus", 103.0, 107.6), True),
        (_stopped("toxiproxy", 103.0, 106.9), False),
        (_stopped("toxiproxy", 103.0, 107.1), True),
        (_stopped("watchdog", 103.0, 105.9), False),
        (_stopped("watchdog", 103.0, 106.1), True),
        (_stopped("watchdog", 95.0, 103.9), False),
        (_stopped("harness", 101.0, 106.0), False),  # a second of the fault
        (_stopped("harness", 104.0, 108.1), True),
        (_stopped("harness", 108.5, 114.0), False),
    ],
)
def test_who_is_stopped_may_be_missed_only_where_it_mattered_for_long(hit: Hit, must_not: bool) -> None:
    assert bool(must_not_pass(hit, COURSE)) is must_not


PLANNED = Planned((Phase("warmup", 0.0, 1.0), Phase("baseline", 1.0, 5.0), Phase("fault", 5.0, 9.0)))


def test_a_course_is_read_from_plan_and_events() -> None:
    events = [
        Event(-2.0, "", "ready", {}),
        Event(-0.6, "", "load-started", {"t0_mono": 100.0}),
        Event(9.4, "", "load-settled", {}),
    ]
    course = course_of(PLANNED, events)
    assert course.phases == ((101.0, 105.0), (105.0, 109.0))
    assert course.settled_s == 109.4


def test_a_fault_is_open_until_it_was_taken_back_however_late() -> None:
    import msgspec

    planned = msgspec.json.decode(
        b'{"phases":[],"faults":[{"id":"f1","start_s":5.0,"end_s":8.0},{"id":"f2","start_s":5.0,"end_s":8.0}]}',
        type=Planned,
    )
    events = [Event(-0.6, "", "load-started", {"t0_mono": 100.0}), Event(9.5, "", "fault-undone", {"fault": "f1"})]
    assert course_of(planned, events).faults == ((105.0, 109.5), (105.0, 108.0))


def test_before_the_load_began_there_is_no_course() -> None:
    assert course_of(PLANNED, [Event(0.3, "", "boot-started", {})]) == Course()
