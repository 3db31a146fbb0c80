"""A recording's papers: its plan, events and logs, read into memory. What is none of that is said with its line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from crashcart.model.errors import BadFile, UsageError
from crashcart.model.fault import LogRecord
from crashcart.model.holding import with_times
from crashcart.model.plan import PLAN_FORMAT, Phase, Plan
from crashcart.model.recording import FILES, Event, Manifest

Record = TypeVar("Record", Event, LogRecord)


class LoadSummary(msgspec.Struct, frozen=True):
    """What of `load-summary.json` bears on whether the run counts."""

    broken: str = ""
    not_started: int = 0
    crashed: int = 0
    counted: int | None = None
    """Series in `load-counters.jsonl`; None: this load wrote none."""
    lateness: dict[str, Any] = {}


class _Head(msgspec.Struct, frozen=True):
    format: str = ""


def read_plan(directory: Path) -> Plan:
    """The plan that was run."""
    path = directory / FILES["plan"]
    try:
        content = path.read_bytes()
    except OSError as error:
        remedy = "name a folder that `crashcart run` wrote, such as runs/latest"
        raise BadFile(f"this is no recording: {error.strerror}", file=path, line=None, remedy=remedy) from error
    try:
        found = msgspec.json.decode(content, type=_Head).format
        if found != PLAN_FORMAT:
            raise UsageError(f"the plan's format is {found!r}, this crashcart reads {PLAN_FORMAT}", where=str(path))
        plan = msgspec.json.decode(content, type=Plan)
        _make_sure_of_names(plan)
        _make_sure_of_numbers(plan)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadFile(f"this is no plan: {error}", file=path, line=None) from error
    except KeyError as error:
        raise BadFile(f"this is no plan: it speaks of {error}, which is not in it", file=path, line=None) from error
    return plan


def _make_sure_of_names(plan: Plan) -> None:
    """KeyError where something is expected of a phase or an SLO that the plan does not have."""
    for objective in plan.objectives:
        plan.phase(objective.phase)
        plan.slo(objective.slo)
    if plan.recovery is not None:
        plan.phase("baseline")
        for name in plan.recovery.slos:
            plan.slo(name)


def _make_sure_of_numbers(plan: Plan) -> None:
    """ValueError where times or shares can be none; the planner makes no such plan."""
    edges = [(phase.start_s, phase.end_s) for phase in plan.phases]
    if not edges or not all(a < b for a, b in edges) or not all(a[1] == b[0] for a, b in pairwise(edges)):
        raise ValueError("its phases do not follow each other")
    if not 0 < plan.load.purchase_share <= 1 or plan.peak_per_s < 0:
        raise ValueError("its load is none")
    shares = {objective.id: objective.objective for objective in plan.objectives}
    shares |= {f"{slo.name} of {cohort}": wanted for slo in plan.slos for cohort, wanted in slo.objectives.items()}
    for name, wanted in shares.items():
        if not 0 < wanted < 1:
            raise ValueError(f"{wanted:g} is no objective for {name}")


class _Span(msgspec.Struct, frozen=True):
    start_s: float
    end_s: float


class _PhaseSpan(_Span, frozen=True):
    name: str


class _FaultSpan(_Span, frozen=True):
    id: str


class _Times(msgspec.Struct, frozen=True):
    phases: tuple[_PhaseSpan, ...]
    faults: tuple[_FaultSpan, ...] = ()


def as_held(plan: Plan, events: Sequence[Event], file: Path) -> Plan:
    """The plan with the times that it was really given: an operator may end a phase that was held.

    BadFile where the event is not what it should be: without it nothing can be judged.
    """
    told = next((event for event in reversed(events) if event.event == "phases"), None)
    if told is None:
        return plan
    try:
        times = msgspec.convert(told.data, _Times)
    except msgspec.ValidationError as error:
        raise BadFile(f"the event `phases` is not what it should be: {error}", file=file, line=None) from error
    edges = [(phase.start_s, phase.end_s) for phase in times.phases]
    in_order = all(start_s < end_s for start_s, end_s in edges) and all(a[1] == b[0] for a, b in pairwise(edges))
    if [phase.name for phase in times.phases] != [phase.name for phase in plan.phases] or not in_order:
        raise BadFile("the event `phases` tells of other phases than the plan", file=file, line=None)
    phases = [Phase(phase.name, phase.start_s, phase.end_s) for phase in times.phases]
    return with_times(plan, phases, {fault.id: (fault.start_s, fault.end_s) for fault in times.faults})


def recorded_bytes(manifest: Manifest | None, name: str) -> int | None:
    """How long the file was at the run's end: what came later (`crashcart recover`) is not of the run."""
    entries = manifest.files if manifest is not None else ()
    return next((entry.bytes for entry in entries if entry.path == name), None)


class _Cpu(msgspec.Struct, frozen=True):
    process_cpu_s: dict[str, float]
    busy_s: float
    cores: float
    at: str = ""


class _Gap(msgspec.Struct, frozen=True):
    from_s: float
    to_s: float


class _Took(msgspec.Struct, frozen=True):
    took_s: float = 0.0


class _Started(msgspec.Struct, frozen=True):
    t0_wall: float


class _Step(msgspec.Struct, frozen=True):
    by_s: float = 0.0


class _Books(msgspec.Struct, frozen=True):
    errors: dict[str, str] = {}
    rows: dict[str, int] = {}


class _Pending(msgspec.Struct, frozen=True):
    pending: dict[str, int | None] = {}


class _Part(msgspec.Struct, frozen=True):
    part: str


class _Died(_Part, frozen=True):
    removed: bool = False


class _Hung(_Part, frozen=True):
    silent_s: float = 0.0


class _Gate(msgspec.Struct, frozen=True):
    results: tuple[dict[str, Any], ...] = ()


_SHAPES: dict[str, type[msgspec.Struct]] = {
    "cpu": _Cpu,
    "scrape-gap": _Gap,
    "fault-injected": _Took,
    "fault-undone": _Took,
    "load-started": _Started,
    "clock-step": _Step,
    "books-read": _Books,
    "not-quiesced": _Pending,
    "gate": _Gate,
    "died": _Died,
    "hung": _Hung,
    "restarted": _Part,
}
"""What the judge relies on of events."""


def read_events(path: Path) -> tuple[Event, ...]:
    """All events, in the order in which they were noted. BadFile where one is not what it should be."""
    events = read_lines(path, Event)
    for number, event in enumerate(events, start=1):
        try:
            msgspec.convert(event.data, _SHAPES.get(event.event, msgspec.Struct))
        except msgspec.ValidationError as error:
            raise BadFile(f"not an event {event.event!r}: {error}", file=path, line=number) from error
    return events


def read_lines(path: Path, kind: type[Record], size: int | None = None) -> tuple[Record, ...]:
    """All lines, or those in the first `size` bytes; the last one may have been cut short by a kill."""
    if not path.exists():
        return ()
    found: list[Record] = []
    for number, line in enumerate(path.read_bytes()[:size].splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            break
        try:
            found.append(msgspec.json.decode(line, type=kind))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadFile(f"not a line of {path.name}: {error}", file=path, line=number) from error
    return tuple(found)


def read_summary(path: Path) -> LoadSummary | None:
    """What the load said at its end; None where it said nothing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=LoadSummary)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadFile(f"this is no summary of a load: {error}", file=path, line=None) from error
