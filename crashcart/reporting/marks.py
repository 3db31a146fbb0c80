"""Moments worth a line through all panels, and where their names find room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from crashcart.model.plan import Plan
from crashcart.model.recording import Event
from crashcart.model.verdict import RecoveryResult, Verdict
from crashcart.reporting import words

LETTER = 0.021
"""Width of a letter on a phone, as a share of the axis: marks whose names would touch there get rows of their own."""
LONGEST = 25
"""Letters of a name that have room on one side of a mark, wherever it stands, on a phone."""

_MOST_NOTED = 20
"""Marks of each sort that are drawn; all of them are among the happenings."""

Spans = Sequence[tuple[float, float]]
"""(from, to) in seconds from t0."""


class Mark(msgspec.Struct, frozen=True):
    """A moment worth a line through all panels."""

    at_s: float
    label: str
    css: str


def find_marks(plan: Plan, events: Sequence[Event], verdict: Verdict, faults: Spans) -> tuple[Mark, ...]:
    """All of them, in order of time. `faults`: when each fault acted."""
    noted = [mark for event in events if event.event == "mark" for mark in _of_event(event)]
    found = [mark for event in events if event.event != "mark" for mark in _of_event(event)]
    found = [*noted[:_MOST_NOTED], *found[:_MOST_NOTED]]
    if verdict.recovery is not None and faults:
        found += _of_recovery(plan, verdict.recovery, faults)
    return tuple(sorted(found, key=lambda mark: mark.at_s))


def moments(verdict: Verdict, plan: Plan) -> Iterator[tuple[str, str]]:
    """(when, what) of what operators noted, for reports in words."""
    for at_s, text in verdict.marks:
        yield words.clock(round(at_s, 1), plan.duration_s), words.clean(text)


def _of_event(event: Event) -> Iterator[Mark]:
    data = event.data
    if event.event == "gate":
        yield Mark(event.t, "gate open" if data.get("passed") else "gate closed", "gate")
    elif event.event == "mark":
        yield Mark(event.t, f"“{words.clean(str(data.get('text', 'mark')))}”", "operator")
    elif event.event == "died" and data.get("removed"):
        yield Mark(event.t, f"{data.get('part', 'a part')} removed by somebody", "bad")
    elif event.event in _NAMED:
        said, key, unnamed, css = _NAMED[event.event]
        yield Mark(event.t, said.format(data.get(key, unnamed)), css)


_NAMED = {
    "guardrail": ("aborted: {}", "slo", "guardrail", "bad"),
    "interrupted": ("interrupted", "", "", "bad"),
    "died": ("{} died", "part", "a part", "bad"),
    "held": ("{} held", "phase", "phase", "gate"),
}
"""Event → (name, what of its data fills it, what does where that is missing, style)."""


def _of_recovery(plan: Plan, recovery: RecoveryResult, faults: Spans) -> Iterator[Mark]:
    since_s, until_s = min(start for start, _ in faults), max(end for _, end in faults)
    for after_s, label, css in (
        (recovery.breached_after_s, "goodput drops", "breach"),
        (recovery.detected_after_s, "the shop's alert fires", "detected"),
        (recovery.mitigated_after_s, "mitigated", "mitigated"),
    ):
        if after_s is not None:
            yield Mark(since_s + after_s, label, css)
    if recovery.recovered_after_s is not None:
        after = words.seconds(recovery.recovered_after_s)
        yield Mark(until_s + recovery.recovered_after_s, f"recovered after {after}", "recovered")
    elif plan.recovery is not None:
        yield Mark(until_s + recovery.within_s, f"recovery was due ({words.seconds(recovery.within_s)})", "breach")


def in_rows(marks: Sequence[Mark], whole_s: float) -> list[list[Mark]]:
    """Rows in which no name touches another one, on the narrowest screen."""
    rows: list[list[Mark]] = []
    for mark in marks:
        start, end = _extent(mark, whole_s)
        for row in rows:
            if all(end <= other[0] or start >= other[1] for other in (_extent(one, whole_s) for one in row)):
                row.append(mark)
                break
        else:
            rows.append([mark])
    return rows


def _extent(mark: Mark, whole_s: float) -> tuple[float, float]:
    """From where to where a mark and its name reach on the narrowest screen, as shares of the axis."""
    at, width = mark.at_s / whole_s, _width(mark)
    return (at - width, at) if is_late(mark, whole_s) else (at, at + width)


def is_late(mark: Mark, whole_s: float) -> bool:
    """Whether its name is written left of it, because there may not be room right of it."""
    at = mark.at_s / whole_s
    return at > 0.6 or at + _width(mark) > 1


def _width(mark: Mark) -> float:
    return LETTER * (min(len(mark.label), LONGEST) + 1)
