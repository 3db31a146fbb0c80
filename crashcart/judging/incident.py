"""An incident taken apart: when the shop's own alerts told of it, and when somebody or something ended its cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from crashcart.judging.counters import Counters
from crashcart.judging.numbers import rounded
from crashcart.judging.tape import Tape
from crashcart.judging.windows import Window
from crashcart.model.plan import PlannedFault
from crashcart.model.verdict import RecoveryResult

ALERTS = "alert_firing"
MITIGATED = "mitigat"
"""How an operator's mark begins that says so: mitigated, mitigation, …"""
TAKEN_BACK = "the fault was taken back"

Mark = tuple[float, str]


def read_marks(tape: Tape) -> tuple[Mark, ...]:
    """What operators noted, and when."""
    marks = ((rounded(event.t, 3), str(event.data.get("text", ""))) for event in tape.named("mark"))
    return tuple(sorted(marks))


def taken_apart(
    recovery: RecoveryResult,
    faults: Sequence[PlannedFault],
    windows: Mapping[str, Window],
    counters: Counters,
    marks: Sequence[Mark],
) -> RecoveryResult:
    """The same, with who saw it and what ended it, in seconds from the start of the first fault."""
    if not faults:
        return recovery
    began_s = min(_began_s(fault, windows[fault.id]) for fault in faults)
    detected = _detected(counters, began_s)
    mitigated = _mitigated(faults, windows, marks, began_s)
    return msgspec.structs.replace(
        recovery,
        detected_after_s=rounded(detected[0] - began_s, 3) if detected else None,
        detected_by=detected[1] if detected else "",
        mitigated_after_s=rounded(mitigated[0] - began_s, 3) if mitigated else None,
        mitigated_by=mitigated[1] if mitigated else "",
    )


def _began_s(fault: PlannedFault, window: Window) -> float:
    return fault.start_s if window.injected_s is None else window.injected_s


def _detected(counters: Counters, began_s: float) -> Mark | None:
    """The alert that fired first. One that was firing already has not detected this."""
    found = [
        (first_s, one.labels.get("alert", ""))
        for one in counters.metric(ALERTS)
        if not one.at(began_s) >= 1
        and (first_s := next((t for t, v in zip(one.times, one.values, strict=True) if t > began_s and v >= 1), None))
        is not None
    ]
    return min(found, default=None)


def _mitigated(
    faults: Sequence[PlannedFault], windows: Mapping[str, Window], marks: Sequence[Mark], began_s: float
) -> Mark | None:
    """An operator's word, else the undo of the last fault. None while any of them was there to the end."""
    said = next((mark for mark in marks if mark[0] >= began_s and mark[1].strip().lower().startswith(MITIGATED)), None)
    if said is not None:
        return said
    undone = [windows[fault.id].undone_s for fault in faults]
    ends = [end_s for end_s in undone if end_s is not None]
    return (max(ends), TAKEN_BACK) if ends and len(ends) == len(undone) else None
