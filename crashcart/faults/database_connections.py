"""All connections taken: a leak in some other program, a pool that was set too large, a restart of everything."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from crashcart.faults.database_sessions import (
    CONNECT_S,
    DatabaseUnreachable,
    Session,
    SessionObserver,
    connect,
    end_sessions,
    finish,
    in_our_words,
)
from crashcart.faults.databases import DatabaseFault, DatabaseSettings, kept_as
from crashcart.model.design import Design
from crashcart.model.errors import CrashcartError, UsageError
from crashcart.model.fault import Step
from crashcart.model.topology import Instance
from crashcart.ports import FaultKind, Observation, Observer, World
from crashcart.runtimes.layout import DATABASE
from crashcart.runtimes.readiness import ask

if TYPE_CHECKING:
    import asyncpg

TAKEN_WITHIN_S = 8.0
AT_ONCE = 8
"""So many connections are opened at a time, until one is refused; from then on one by one: who is being refused takes a
slot, too, for a moment."""
NEEDED_BESIDE = 2
"""Slots that only a superuser gets: one to look, one to undo."""
TOO_MANY = "53300"

# How many there are for those who are no superusers. Older servers lack one of the settings.
_SLOTS = """
SELECT sum(CASE name WHEN 'max_connections' THEN setting::int ELSE -setting::int END)::int FROM pg_settings
WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
"""
_LEAVES_A_WAY_BACK = """
SELECT current_setting('superuser_reserved_connections')::int >= $1 AND NOT rolsuper FROM pg_roles WHERE rolname = $2
"""
# In use: by the fault, by clients, by anybody. A superuser's session takes a slot like any other.
_USED = """
SELECT count(*) FILTER (WHERE application_name = $1)::int,
       count(*) FILTER (WHERE application_name <> $1 AND NOT rolsuper)::int,
       count(*)::int
FROM pg_stat_activity JOIN pg_roles ON rolname = usename WHERE backend_type = 'client backend'
"""
_CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity JOIN pg_roles ON rolname = usename
WHERE backend_type = 'client backend' AND application_name <> $1 AND NOT rolsuper
"""


class Settings(DatabaseSettings, frozen=True, forbid_unknown_fields=True):
    """All but `free` slots are taken; `cut` ends the clients' own sessions, so that they have to come back."""

    free: int = 0
    cut: bool = True


class Connections(DatabaseFault):
    """`database/connections: {database: orders-db, free: 0, cut: true}`."""

    kind: ClassVar[str] = "database/connections"
    summary: ClassVar[str] = "A database's connections are all taken; who asks for one is refused."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """The database's instances. UsageError for fewer than none."""
        assert isinstance(settings, Settings)
        if settings.free < 0:
            raise UsageError(f"free: {settings.free} can't be", remedy="write 0 or more")
        return super().targets(settings, design)

    def title(self, settings: msgspec.Struct) -> str:
        """`orders-db has no free connection`."""
        assert isinstance(settings, Settings)
        left = f"{settings.free} free connections" if settings.free else "no free connection"
        return f"{settings.database} has {left}{', and its clients are cut off' if settings.cut else ''}"

    def data(self, settings: msgspec.Struct, instance: Instance) -> dict[str, Any]:
        """What the settings say."""
        assert isinstance(settings, Settings)
        return {"free": settings.free, "cut": settings.cut}

    def look_at(self, step: Step) -> Observer:
        """Who asks for a connection, as any client does, is refused; with some free, the server's own count."""
        return _NewClient(step) if step.data["free"] == 0 else _counting(step)

    def apply(self, step: Step, world: World) -> None:
        """Take all there are; cut the others off and take theirs, until there are no others; give some back."""
        taken = _Taken(step.data["address"], step.data["session"])
        try:
            _take_all(taken, step)
        except CrashcartError:
            taken.close()
            raise
        world.keep(kept_as(step), taken)

    def undo(self, step: Step, world: World) -> None:
        """Close them, here or, by their name, on the server."""
        world.let_go(kept_as(step))
        end_sessions(step.data["address"], step.data["session"])


class _Taken:
    """Connections that are held and not used, one of them a superuser's. Implements `Holder`."""

    def __init__(self, address: str, name: str) -> None:
        # the superuser's would leave a free slot behind if it were closed: it stays, too
        self.admin = Session(address, name, statement_s=CONNECT_S)
        self._address = address
        self._name = name
        self._settings = {"application_name": name, "idle_session_timeout": "0"}
        self._runner = asyncio.Runner()
        self._connections: list[asyncpg.Connection] = []

    def __len__(self) -> int:
        return len(self._connections)

    def fill(self, until_mono_s: float, at_once: int = 1) -> None:
        """Take connections as an ordinary client, so many at a time, until one is refused.

        Raises:
            DatabaseRefused, DatabaseUnreachable: for another reason than that there are no more, or too late.
        """
        while time.monotonic() < until_mono_s:
            if self._runner.run(self._some_more(at_once)):
                return
        what = f"its connections could not all be taken within {TAKEN_WITHIN_S:g} s"
        raise DatabaseUnreachable(what, where=self._address)

    def give_back(self, count: int, until_mono_s: float) -> None:
        """Close so many, and wait until the server has seen it."""
        left = len(self._connections) + 1 - count
        self._runner.run(finish([self._connections.pop() for _ in range(count)]))
        while self.admin.rows(_USED, self._name)[0][0] > left and time.monotonic() < until_mono_s:
            time.sleep(0.005)

    def close(self) -> None:
        """Close all. Idempotent."""
        if self._connections:
            self._runner.run(finish(self._connections))
        self._connections = []
        self._runner.close()
        self.admin.close()

    async def _some_more(self, count: int) -> bool:
        """Whether a connection was refused because there are no more."""
        import asyncpg

        asked = [connect(self._address, DATABASE, self._settings, CONNECT_S) for _ in range(count)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        self._connections += [answer for answer in answers if isinstance(answer, asyncpg.Connection)]
        problems = [answer for answer in answers if isinstance(answer, BaseException)]
        for problem in problems:
            if getattr(problem, "sqlstate", "") != TOO_MANY:
                raise in_our_words(problem, self._address) from problem
        return bool(problems)


def _take_all(taken: _Taken, step: Step) -> None:
    name, free, cut = step.data["session"], step.data["free"], step.data["cut"]
    if not taken.admin.value(_LEAVES_A_WAY_BACK, NEEDED_BESIDE, DATABASE):
        what = f"taking all of {step.target}'s connections would leave none to undo it"
        remedy = f"let the role {DATABASE!r} be no superuser, and set superuser_reserved_connections to 3"
        raise CrashcartError(what, remedy=remedy)
    slots = taken.admin.value(_SLOTS)
    until = time.monotonic() + TAKEN_WITHIN_S
    taken.fill(until, AT_ONCE)
    while True:
        # Refused is not full: who is just leaving counted, too. The server's list is what tells.
        ((_, others, used),) = taken.admin.rows(_USED, name)
        if used >= slots and not (cut and others):
            break
        if cut:
            taken.admin.value(_CUT, name)
        taken.fill(until)
    if free > len(taken):
        raise CrashcartError(f"free: {free} is more than the {len(taken)} that could be taken", where=step.target)
    taken.give_back(free, until)


class _NewClient:
    """An ordinary client that comes new, each time it looks. Implements `ports.Observer`."""

    def __init__(self, step: Step) -> None:
        self._address = step.data["address"]

    def look(self) -> Observation:
        """Refused, and for the reason that is meant."""
        said = ask("postgres", self._address, timeout_s=0.8)
        return Observation(there=said.startswith(TOO_MANY), note=said or "let in")

    def close(self) -> None:
        """Nothing is held."""


def _counting(step: Step) -> Observer:
    name, free = step.data["session"], step.data["free"]

    def see(session: Session) -> Observation:
        slots = session.value(_SLOTS)
        ((ours, _, used),) = session.rows(_USED, name)
        note = f"{ours} of {slots} connections are taken by the fault, {slots - used} are free"
        return Observation(there=ours > 0 and slots - used <= free, value=float(slots - used), note=note)

    return SessionObserver(step.data["address"], name, see)


FAULT: FaultKind = Connections()
