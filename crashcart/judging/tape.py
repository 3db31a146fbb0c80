"""A recording, opened to be judged: its plan and events in memory, its tables in DuckDB, nothing else within reach."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from crashcart.judging.papers import (
    LoadSummary,
    as_held,
    read_events,
    read_lines,
    read_plan,
    read_summary,
    recorded_bytes,
)
from crashcart.judging.shared import make_shared, mind_the_machine
from crashcart.judging.tables import define
from crashcart.model.errors import BadFile
from crashcart.model.fault import LogRecord
from crashcart.model.plan import Phase, Plan
from crashcart.model.recording import FILES, Event, Manifest
from crashcart.recorder import verify
from crashcart.recorder.manifest import Ended
from crashcart.recorder.reading import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Room:
    """What DuckDB may use. What does not fit is spilt."""

    memory: str
    threads: int
    """More of them need more memory, whatever the machine has."""


ROOMS = (Room("300MB", 2), Room("480MB", 1))
"""The second one where the first was too little after all: a verdict must not depend on either."""


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
        events = read_events(directory / FILES["events"])
        logged = read_lines(directory / FILES["faultlog"], LogRecord, recorded_bytes(manifest, FILES["faultlog"]))
        plan = as_held(planned, events, directory / FILES["events"])
        try:
            found = define(database, directory.resolve(), plan, verified=manifest is not None)
            yield Tape(
                directory=directory,
                plan=plan,
                manifest=manifest,
                events=events,
                faultlog=logged,
                summary=read_summary(directory / "load-summary.json"),
                missing=found.missing,
                unreadable=found.unreadable,
                unmade=make_shared(database, plan.truth),
                database=database,
            )
        except (duckdb.Error, msgspec.DecodeError, UnicodeDecodeError) as error:
            mind_the_machine(error)
            what = f"its tables can't be read: {str(error).splitlines()[0]}"
            raise BadFile(what, file=directory, line=None, remedy="judge an unaltered copy of the recording") from error


def _missing_of(said: str, tables: Iterable[str]) -> str | None:
    return next((table for table in sorted(tables) if f"Table with name {table} " in said), None)
