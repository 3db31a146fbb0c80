"""Faults at the same time: those that would hide each other's evidence are refused before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crashcart.model.plan import PlannedFault
from crashcart.planning.request import Request

PROBED = ("added-latency", "unreachable", "instance-down", "throughput", "cut-short", "none")
"""Measures that probes through and beside a proxy are to show."""
REMEDY = "let one end before the other begins, or move one to another target"


def refuse_overlaps(request: Request, planned: Sequence[PlannedFault]) -> None:
    """BadFile, with the line of the later one, for two faults that can't be told apart while both are there."""
    for index, later in enumerate(planned):
        for earlier in planned[:index]:
            if later.start_s < earlier.end_s and earlier.start_s < later.end_s:
                for why in _conflicts(earlier, later):
                    raise request.file.error(("faults", index), f"{later.id} and {earlier.id} {why}", REMEDY)


def _conflicts(one: PlannedFault, other: PlannedFault) -> Iterator[str]:
    """Why they can't be there at once, the plainest reason first."""
    shared = set(one.targets) & set(other.targets)
    if shared:
        yield f"act on {min(shared)} at the same time"
    for hiding, hidden in ((one, other), (other, one)):
        why = _hides(hiding, hidden)
        if why:
            yield f"can't be there at the same time: while {hiding.id} is, {why}"


def _hides(hiding: PlannedFault, hidden: PlannedFault) -> str:
    """What could not be shown of a fault while the other is there; empty where it could."""
    gone = hiding.effect.measure == "instance-down"
    if hidden.effect.measure in PROBED:
        touched = set(hidden.watched) & set(hiding.targets)
        if touched:
            return f"the probes of {min(touched)} can't show {hidden.id}"
        behind = {name.rpartition(".")[2] for name in hidden.watched} & set(hiding.targets)
        if behind and (gone or hidden.effect.whole_answers):
            return f"{min(behind)} does not answer the probes that are to show {hidden.id}"
    if hidden.effect.measure == "counted":
        shared = set(hidden.links) & set(hiding.links)
        if shared:
            return f"the calls on {min(shared)} are not those that {hidden.id} is counted by"
    callers = {name.partition(".")[0] for name in (*hidden.targets, *hidden.watched) if "." in name}
    if gone and callers and callers <= set(hiding.targets):
        return f"{min(callers)} makes no calls that could meet {hidden.id}"
    return ""
