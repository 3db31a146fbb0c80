"""All connections taken: a leak in some other program, a pool that was set too large, a restart of everything."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from crashcart.faults.database_sessions import (
    CONNECT_S,
    TOO_MANY,
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
AGAIN_S = 0.25
NEEDED_BESIDE = 2
"""Slots that only a superuser gets: one to look, one to undo."""

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
        taken = _Taken(step)
        try:
            _take_all(taken, step)
        except CrashcartError:
            taken.close()
            raise
        taken.go_on()
        world.keep(kept_as(step), taken)

    def undo(self, step: Step, world: World) -> None:
        """Close them, here or, by their name, on the server."""
        world.let_go(kept_as(step))
        end_sessions(step.data["address"], step.data["session"])


class _Taken:
    """Connections that are held and not used, one of them a superuser's. Implements `Holder`."""

    def __init__(self, step: Step) -> None:
        self._address, self._name = step.data["address"], step.data["session"]
        self._free, self._cut = step.data["free"], step.data["cut"]
        # the superuser's would leave a free slot behind if it were closed: it stays, too
        self._admin = Session(self._address, self._name, statement_s=CONNECT_S)
        self._settings = {"application_name": self._name, "idle_session_timeout": "0"}
        self._runner = asyncio.Runner()
        self._connections: list[asyncpg.Connection] = []
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._keep_it_so, name=self._name, daemon=True)

    def leaves_a_way_back(self) -> bool:
        """Whether somebody could get in to undo it."""
        return bool(self._admin.value(_LEAVES_A_WAY_BACK, NEEDED_BESIDE, DATABASE))

    def take_rest(self, until_mono_s: float) -> bool:
        """Take what there is, and cut off who is to be. Whether nothing was left to do, by the server's own list."""
        slots = self._admin.value(_SLOTS)
        ((_, others, used),) = self._admin.rows(_USED, self._name)
        if used >= slots and not (self._cut and others):
            return True
        if self._cut:
            self._admin.value(_CUT, self._name)
        self.fill(until_mono_s)
        return False

    def fill(self, until_mono_s: float, at_once: int = 1) -> None:
        """Take connections as an ordinary client, so many at a time, until one is refused, or this is to end.

        Raises:
            DatabaseRefused, DatabaseUnreachable: for another reason than that there are no more, or too late.
        """
        while time.monotonic() < until_mono_s:
            if self._leaving.is_set() or self._runner.run(self._some_more(at_once)):
                return
        what = f"its connections could not all be taken within {TAKEN_WITHIN_S:g} s"
        raise DatabaseUnreachable(what, where=self._address)

    def give_back(self, until_mono_s: float) -> None:
        """Close as many as are to be free, and wait until the server has seen it. CrashcartError for more than all."""
        held = len(self._connections)
        if self._free > held:
            raise CrashcartError(f"free: {self._free} is more than the {held} that could be taken")
        self._runner.run(finish([self._connections.pop() for _ in range(self._free)]))
        left = held + 1 - self._free
        while self._admin.rows(_USED, self._name)[0][0] > left and time.monotonic() < until_mono_s:
            time.sleep(0.005)

    def go_on(self) -> None:
        """Keep it so until the end: where somebody leaves who was there before, a place would be free."""
        if not self._free:
            self._thread.start()

    def close(self) -> None:
        """Close all. Idempotent."""
        self._leaving.set()
        if self._thread.is_alive():
            self._thread.join(CONNECT_S)
        if self._connections:
            self._runner.run(finish(self._connections))
        self._connections = []
        self._runner.close()
        self._admin.close()

    def _keep_it_so(self) -> None:
        try:
            while not self._leaving.wait(AGAIN_S):
                self.take_rest(time.monotonic() + TAKEN_WITHIN_S)
        except CrashcartError:
            # The server went, or somebody else undid it by ending our sessions. None that came since may stay.
            connections, self._connections = self._connections, []
            self._runner.run(finish(connections))

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
    if not taken.leaves_a_way_back():
        what = f"taking all of {step.target}'s connections would leave none to undo it"
        remedy = f"let the role {DATABASE!r} be no superuser, and set superuser_reserved_connections to 3"
        raise CrashcartError(what, remedy=remedy)
    until = time.monotonic() + TAKEN_WITHIN_S
    taken.fill(until, AT_ONCE)
    # Refused is not full: who was just leaving counted, too.
    while not taken.take_rest(until):
        pass
    taken.give_back(until)


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
