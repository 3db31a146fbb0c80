"""A recording, opened to be judged: its plan and events in memory, its tables in DuckDB, nothing else within reach."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from crashcart.judging.shared import make_shared, mind_the_machine, named
from crashcart.model.errors import BadFile, UsageError
from crashcart.model.fault import LogRecord
from crashcart.model.holding import with_times
from crashcart.model.plan import PLAN_FORMAT, Phase, Plan
from crashcart.model.recording import FILES, INTENT_COLUMNS, Event, Manifest
from crashcart.recorder import relation, unreadable_lines, verify
from crashcart.recorder.manifest import Ended
from crashcart.recorder.reading import TABLES, Table, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Room:
    """What DuckDB may use. What does not fit is spilt."""

    memory: str
    threads: int
    """More of them need more memory, whatever the machine has."""


ROOMS = (Room("300MB", 2), Room("600MB", 1))
"""The second one where the first was too little after all: a verdict must not depend on either."""
Record = TypeVar("Record", Event, LogRecord)
_EMPTY: dict[Table, str] = {
    "intents": ", ".join(f"NULL::{kind} AS {name}" for name, kind in INTENT_COLUMNS.items()),
    "pace": "NULL::BIGINT AS t, NULL::BIGINT AS scheduled, NULL::BIGINT AS started, NULL::DOUBLE AS late_p99_ms",
    "series": "NULL::VARCHAR AS metric, NULL::VARCHAR AS labels, NULL::DOUBLE AS t, NULL::DOUBLE AS value",
    "evidence": "NULL::DOUBLE AS t, NULL::VARCHAR AS proxy, NULL::VARCHAR AS side, true AS ok, NULL::DOUBLE AS ms, "
    "NULL::VARCHAR AS error, NULL::BIGINT AS bytes, NULL::DOUBLE AS value",
}


class LoadSummary(msgspec.Struct, frozen=True):
    """What of `load-summary.json` bears on whether the run counts."""

    broken: str = ""
    not_started: int = 0
    crashed: int = 0
    lateness: dict[str, Any] = {}


@dataclass(frozen=True)
class Tape:
    """One recording."""

    directory: Path
    plan: Plan
    manifest: Manifest | None
    """None where the run was cut short."""
    events: tuple[Event, ...]
    faultlog: tuple[LogRecord, ...]
    summary: LoadSummary | None
    missing: tuple[Table, ...]
    unreadable: tuple[Table, ...]
    """Tables with lines that are not what they should be."""
    unmade: Mapping[str, str]
    """Shared tables that could not be made → why."""
    database: DuckDBPyConnection
    """`intents`, every source of the books that was read, and `recording.pace`, `.series` and `.evidence`."""

    @property
    def ended(self) -> Ended:
        """How the run came to its end; without a manifest, by what was noted last."""
        if self.manifest is not None:
            return self.manifest.ended
        return "interrupted" if self.first("interrupted") else "broken"

    @property
    def reached(self) -> tuple[Phase, ...]:
        """Phases that were run to their end."""
        if self.ended == "completed":
            return self.plan.phases
        stops = ("gate", "guardrail", "interrupted", "died", "hung", "load-broken", "fault-failed", "error")
        times = [event.t for event in self.events if event.event in stops and not event.data.get("passed")]
        until_s = min(times, default=max((event.t for event in self.events), default=0.0))
        return tuple(phase for phase in self.plan.phases if phase.end_s <= until_s)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows. duckdb.Error where the query is wrong or a table is missing, OutOfRoom where it does not fit."""
        import duckdb

        try:
            return self.database.execute(sql, list(parameters)).fetchall()
        except duckdb.Error as error:
            mind_the_machine(error)
            raise

    def named(self, name: str) -> tuple[Event, ...]:
        """Events of that name, in order."""
        return tuple(event for event in self.events if event.event == name)

    def first(self, name: str) -> Event | None:
        """The first event of that name."""
        return next((event for event in self.events if event.event == name), None)

    def why_unreadable(self, error: Exception) -> str:
        """Why a query of the project's failed. What is missing is missing for a reason, and that was recorded."""
        mind_the_machine(error)
        said = str(error).splitlines()[0]
        read = self.first("books-read")
        errors = read.data.get("errors", {}) if read else {}
        for _ in self.unmade:
            shared = _missing_of(said, self.unmade)
            said = self.unmade[shared] if shared else said
        source = _missing_of(said, errors)
        if source is not None:
            return f"no data: {errors[source]}"
        return f"it could not be asked: {said}" if read else "no data: the books were not read"


@contextmanager
def open_tape(directory: Path, room: Room = ROOMS[0]) -> Iterator[Tape]:
    """Open a recording, whole or cut short.

    Raises BadFile where it is none or was altered, UsageError where it is of a newer crashcart, OutOfRoom where it does
    not fit.
    """
    import duckdb

    planned = read_plan(directory)
    manifest = verify(directory) if (directory / FILES["manifest"]).exists() else None
    # What does not fit into memory must not be spilt into the folder one happens to be in.
    with (
        tempfile.TemporaryDirectory(prefix="crashcart-judge-") as spill,
        duckdb.connect(
            config={
                "memory_limit": room.memory,
                "threads": room.threads,
                "temp_directory": spill,
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
            }
        ) as database,
    ):
        events = _lines(directory / FILES["events"], Event)
        plan = as_held(planned, events, directory / FILES["events"])
        try:
            missing = _define(database, directory, plan)
            yield Tape(
                directory=directory,
                plan=plan,
                manifest=manifest,
                events=events,
                faultlog=_lines(directory / FILES["faultlog"], LogRecord, _recorded_bytes(manifest, FILES["faultlog"])),
                summary=_summary(directory / "load-summary.json"),
                missing=missing,
                unmade=make_shared(database, plan.truth),
                unreadable=tuple(
                    table for table in TABLES if _unreadable(directory, table, whole=manifest is not None)
                ),
                database=database,
            )
        except duckdb.Error as error:
            mind_the_machine(error)
            what = f"its tables can't be read: {str(error).splitlines()[0]}"
            raise BadFile(what, file=directory, line=None, remedy="judge an unaltered copy of the recording") from error


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


def _missing_of(said: str, tables: Iterable[str]) -> str | None:
    return next((table for table in sorted(tables) if f"Table with name {table} " in said), None)


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
        return msgspec.json.decode(content, type=Plan)
    except msgspec.DecodeError as error:
        raise BadFile(f"this is no plan: {error}", file=path, line=None) from error


def _unreadable(directory: Path, table: Table, *, whole: bool) -> bool:
    """In a recording that was finished, JSONL is left only of what could not be made Parquet."""
    left = (directory / f"{table}.jsonl").exists() and not (directory / f"{table}.parquet").exists()
    return (whole and left) or unreadable_lines(directory, table) > 0


class _Head(msgspec.Struct, frozen=True):
    format: str = ""


def _define(database: DuckDBPyConnection, directory: Path, plan: Plan) -> tuple[Table, ...]:
    missing: list[Table] = []
    # Queries come with the recording, which may be somebody else's: they get to read this folder and nothing else.
    database.execute(f"SET allowed_directories = [{quoted(directory.resolve())}]")
    database.execute("CREATE SCHEMA recording")
    # Witnesses show times; they must not depend on where it is judged.
    database.execute("SET TimeZone = 'UTC'")
    for table in TABLES:
        select = relation(directory.resolve(), table)
        if select is None:
            missing.append(table)
            select = f"SELECT {_EMPTY[table]} WHERE false"
        kind = "VIEW" if (directory / f"{table}.parquet").exists() else "TABLE"
        name = table if table == "intents" else f"recording.{table}"
        database.execute(f"CREATE {kind} {name} AS {select}")
    for source in plan.truth.sources:
        path = directory.resolve() / FILES["truth"] / f"{source}.parquet"
        if path.exists():
            database.execute(f"CREATE VIEW {named(source)} AS FROM read_parquet({quoted(path)})")
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    return tuple(missing)


def _recorded_bytes(manifest: Manifest | None, name: str) -> int | None:
    """How long the file was at the run's end: what came later (`crashcart recover`) is not of the run."""
    entries = manifest.files if manifest is not None else ()
    return next((entry.bytes for entry in entries if entry.path == name), None)


def _lines(path: Path, kind: type[Record], size: int | None = None) -> tuple[Record, ...]:
    """All lines, or those in the first `size` bytes; the last one may have been cut short by a kill."""
    if not path.exists():
        return ()
    found: list[Record] = []
    for number, line in enumerate(path.read_bytes()[:size].splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            break
        try:
            found.append(msgspec.json.decode(line, type=kind))
        except msgspec.DecodeError as error:
            raise BadFile(f"not a line of {path.name}: {error}", file=path, line=number) from error
    return tuple(found)


def _summary(path: Path) -> LoadSummary | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=LoadSummary)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise BadFile(f"this is no summary of a load: {error}", file=path, line=None) from error
