"""A phase that goes on until somebody says so: planned at its longest, and then cut short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from crashcart.model.plan import Phase, Plan, PlannedFault, PlannedObjective, Slices

HOLDABLE = ("baseline", "fault", "recovery")
STEADY = "steady"
"""The one profile that can be cut: all others are drawn over the whole timeline, and would change their shape."""


class Hold(msgspec.Struct, frozen=True):
    """Which phase is held, and from when on the word counts."""

    phase: str
    not_before_s: float
    """Seconds from t0: where the phase would have ended as its author wrote it. Shorter, it could not be judged."""


def cut_phases(phases: Sequence[Phase], name: str, end_s: float) -> tuple[Phase, ...]:
    """The phases with that one ended at `end_s`, and all later ones moved up. Expected counts go with the durations.

    KeyError where there is none of that name; ValueError where `end_s` is not within it.
    """
    cut = next((phase for phase in phases if phase.name == name), None)
    if cut is None:
        raise KeyError(name)
    if not cut.start_s < end_s <= cut.end_s:
        raise ValueError(f"{end_s:g} s is not within {name}, {cut.start_s:g} to {cut.end_s:g} s")
    moved_s = cut.end_s - end_s
    found: list[Phase] = []
    for phase in phases:
        if phase.name == name:
            found.append(_resized(phase, phase.start_s, end_s))
        elif phase.start_s >= cut.end_s:
            # begins where the one before it ends, to the last digit
            found.append(_resized(phase, found[-1].end_s, phase.end_s - moved_s))
        else:
            found.append(phase)
    return tuple(found)


def cut_short(plan: Plan, name: str, *, said_s: float, end_s: float) -> Plan:
    """The plan with the phase `name` ended at `end_s`; its faults that are on at `said_s` are undone then."""
    phases = cut_phases(plan.phases, name, end_s)
    moved_s = plan.phase(name).end_s - end_s
    later = tuple(phase.name for phase in plan.phases if phase.start_s >= plan.phase(name).end_s)
    times: dict[str, tuple[float, float]] = {}
    for fault in plan.faults:
        if plan.phase("fault").name in later:
            times[fault.id] = (fault.start_s - moved_s, fault.end_s - moved_s)
        elif name == "fault":
            times[fault.id] = (fault.start_s, min(fault.end_s, max(said_s, fault.start_s)))
    return with_times(plan, phases, times)


def with_times(plan: Plan, phases: Sequence[Phase], faults: Mapping[str, tuple[float, float]]) -> Plan:
    """The plan with other times: of its phases (same names, same order), and of faults by id, (start, end) in seconds.

    What follows from times follows: expected counts, schedules of slices, where recovery is counted from.
    """
    spans = {phase.name: (phase.start_s, phase.end_s) for phase in phases}
    resized = tuple(_resized(phase, *spans.get(phase.name, (phase.start_s, phase.end_s))) for phase in plan.phases)
    moved = tuple(_moved(fault, *faults.get(fault.id, (fault.start_s, fault.end_s))) for fault in plan.faults)
    share = {
        new.name: new.duration_s / old.duration_s for new, old in zip(resized, plan.phases, strict=True) if old != new
    }
    recovery = plan.recovery
    if recovery is not None and moved:
        recovery = msgspec.structs.replace(recovery, from_s=max(fault.end_s for fault in moved))
    return msgspec.structs.replace(
        plan,
        phases=resized,
        faults=moved,
        objectives=tuple(_scaled(objective, share.get(objective.phase, 1.0)) for objective in plan.objectives),
        recovery=recovery,
    )


def _resized(phase: Phase, start_s: float, end_s: float) -> Phase:
    share = (end_s - start_s) / phase.duration_s if phase.duration_s else 1.0
    return Phase(
        phase.name,
        round(start_s, 6),
        round(end_s, 6),
        expected_intents=round(phase.expected_intents * share, 3),
        expected_sessions=round(phase.expected_sessions * share, 3),
    )


def _moved(fault: PlannedFault, start_s: float, end_s: float) -> PlannedFault:
    lasts_s = end_s - start_s
    slices: Slices = tuple((begin, min(end, lasts_s)) for begin, end in fault.slices if begin < lasts_s)
    return msgspec.structs.replace(fault, start_s=round(start_s, 6), end_s=round(end_s, 6), slices=slices)


def _scaled(objective: PlannedObjective, share: float) -> PlannedObjective:
    return msgspec.structs.replace(objective, expected_events=round(objective.expected_events * share, 3))
