"""Which runs that were hit may pass all the same, and which must not: the rule, once, and strict.

A run may pass where what was hit did not matter any more, or was held up for so short a time that everything was
measured all the same. Where that is not certain beforehand, it must not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from crashcart.model.plan import Phase
from crashcart.model.recording import FILES, Event
from crashcart.selftest.events import events_of
from crashcart.selftest.striking import HARNESS, INTERRUPT, LOAD, PROMETHEUS, TOXIPROXY, WATCHDOG, Hit

Span = tuple[float, float]
"""From and until, in seconds on the monotonic clock."""

NOTICED_S = {TOXIPROXY: 4.0, PROMETHEUS: 4.5, WATCHDOG: 3.0, HARNESS: 3.0}
"""Stopped for so long while it mattered, a part must be missed. Shorter may pass:

- toxiproxy: it is asked once a second and given two to answer. Until then the shop is slower for it, and never better.
- prometheus: counters only grow, so a gap of three seconds loses nothing, and no longer one is let through.
- watchdog: it is looked at once a second, and nobody needed it meanwhile.
- harness: it matters while a fault is due or open, which the watchdog takes back after two seconds. Neither the load
  nor Prometheus waits for it.
"""
LATE_SHARE, LATE_S = 0.05, 0.1
"""The load must be missed where it was stopped for this share of a phase, and so much: all who came meanwhile but in
the last 50 ms are late, and one in a hundred may be. Five times that: how many come in so short a time is chance."""


@dataclass(frozen=True, slots=True)
class Course:
    """When a run did what."""

    phases: tuple[Span, ...] = ()
    """All but warm-up, of which nothing is judged. Empty where the load never began."""
    settled_s: float | None = None
    """No shopper was inside any more; None where it never came to that."""
    faults: tuple[Span, ...] = ()
    """From when it was due until it was taken back."""


def must_not_pass(hit: Hit, course: Course) -> str:
    """Why a pass would be a lie, in words; "" where the run may pass."""
    if hit.target == WATCHDOG and hit.deed == INTERRUPT:
        return ""  # it ignores what ends a terminal's programs: nothing happened to it
    if hit.until_mono_s is None:
        if course.settled_s is not None and hit.from_mono_s >= course.settled_s:
            return ""  # nobody was inside any more: what was lost from here on, the judge's counts miss
        return f"{hit.target} was hit for good before the load had settled"
    stopped = (hit.from_mono_s, hit.until_mono_s)
    if hit.target == LOAD:
        return _late(stopped, course)
    spans = course.faults if hit.target == HARNESS else _whole(course)
    missed_s = sum(_overlap_s(stopped, span) for span in spans)
    if missed_s < NOTICED_S[hit.target]:
        return ""
    return (
        f"{hit.target} was stopped for {missed_s:.1f} s while it mattered, and {NOTICED_S[hit.target]:g} s are enough"
    )


def _late(stopped: Span, course: Course) -> str:
    for phase in course.phases:
        late_s, least_s = _overlap_s(stopped, phase), LATE_SHARE * (phase[1] - phase[0]) + LATE_S
        if late_s >= least_s:
            return f"load was stopped for {late_s:.1f} s of a phase, and {least_s:.1f} s are enough"
    return ""


def _whole(course: Course) -> Sequence[Span]:
    return [(course.phases[0][0], course.phases[-1][1])] if course.phases else ()


def _overlap_s(one: Span, other: Span) -> float:
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


class _Fault(msgspec.Struct, frozen=True):
    id: str
    start_s: float
    end_s: float


class Planned(msgspec.Struct, frozen=True):
    """What is needed of `plan.json`."""

    phases: tuple[Phase, ...]
    faults: tuple[_Fault, ...] = ()


def read_course(recording: Path) -> Course:
    """From its plan and its events, as far as they go. A line that was cut short tells nothing."""
    planned = msgspec.json.decode((recording / FILES["plan"]).read_bytes(), type=Planned)
    return course_of(planned, events_of(recording / FILES["events"]))


def course_of(planned: Planned, events: Iterable[Event]) -> Course:
    """The same, from plan and events."""
    events = list(events)
    t0 = next((float(event.data["t0_mono"]) for event in events if event.event == "load-started"), None)
    if t0 is None:
        return Course()
    settled = next((event.t for event in events if event.event == "load-settled"), None)
    undone = {event.data.get("fault"): event.t for event in events if event.event == "fault-undone"}
    return Course(
        tuple((t0 + phase.start_s, t0 + phase.end_s) for phase in planned.phases if phase.name != "warmup"),
        None if settled is None else t0 + settled,
        tuple((t0 + one.start_s, t0 + max(one.end_s, undone.get(one.id, 0.0))) for one in planned.faults),
    )
