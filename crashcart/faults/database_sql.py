"""Statements that change a database, and others that change it back: rows altered, an index dropped, a setting set."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from crashcart.faults.database_sessions import DatabaseRefused, Session, SessionObserver
from crashcart.faults.databases import DatabaseFault, DatabaseSettings, in_short
from crashcart.model.design import Design
from crashcart.model.errors import CrashcartError, NotUndone, UsageError
from crashcart.model.fault import Step
from crashcart.model.topology import Instance
from crashcart.ports import FaultKind, Observation, Observer, World

DONE_WITHIN_S = 7.0
UNDONE_WITHIN_S = 20.0
SHOWS_WITHIN_S = 2.0
"""What is not a transaction (a setting that is loaded anew) may show a little later."""
NOT_IN_A_TRANSACTION = "25001"
CROSSED = ("40001", "40P01")
"""Serialization failure, deadlock: it met its clients' own statements, and may succeed when tried again."""
ATTEMPTS = 3
GIVEN_WAY_S = 0.2
"""At once, it would be back in the way of those who waited for it."""

_ALONE = "SELECT pg_advisory_lock(hashtextextended($1, 0))"
"""Who does and who undoes may be two processes: one at a time. The lock goes with the session."""


class Settings(DatabaseSettings, frozen=True, forbid_unknown_fields=True):
    """A text is one transaction, however many statements it has; of a list each entry is done by itself, in order.

    `check` is one query for one boolean: true from when the first entry is done, until all is undone, and else never.
    """

    do: str | tuple[str, ...]
    undo: str | tuple[str, ...]
    check: str


class Sql(DatabaseFault):
    """`database/sql: {database: inventory-db, do: UPDATE …, undo: UPDATE …, check: SELECT EXISTS (…)}`."""

    kind: ClassVar[str] = "database/sql"
    summary: ClassVar[str] = "SQL is done to a database behind its clients' back, and undone by other SQL."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """The database's instances. UsageError where there is nothing to do, to undo, or to ask."""
        assert isinstance(settings, Settings)
        for name, texts in (("do", settings.do), ("undo", settings.undo), ("check", settings.check)):
            parts = _parts(texts)
            if not parts or not all(part.strip() for part in parts):
                raise UsageError(f"{name} is empty", remedy="write the SQL that does it, undoes it, and asks for it")
        return super().targets(settings, design)

    def title(self, settings: msgspec.Struct) -> str:
        """`SQL is done to inventory-db: UPDATE …`."""
        assert isinstance(settings, Settings)
        return f"SQL is done to {settings.database}: {in_short('; '.join(_parts(settings.do)))}"

    def data(self, settings: msgspec.Struct, instance: Instance) -> dict[str, Any]:
        """The SQL."""
        assert isinstance(settings, Settings)
        return {"do": settings.do, "undo": settings.undo, "check": settings.check}

    def look_at(self, step: Step) -> Observer:
        """The answer to `check`."""

        def see(session: Session) -> Observation:
            return Observation(there=_check(session, step))

        return SessionObserver(step.data["address"], step.data["session"], see)

    def apply(self, step: Step, world: World) -> None:
        """Do it, once `check` says that it is not there."""
        with Session(step.data["address"], step.data["session"], statement_s=DONE_WITHIN_S) as session:
            session.value(_ALONE, step.data["session"])
            if _check(session, step):
                raise CrashcartError("`check` is true before anything was done: it can't show it", where=step.target)
            Path(step.data["note"]).touch()  # from here on it may have been done
            _carry_out(session, step, "do", there=True)

    def undo(self, step: Step, world: World) -> None:
        """Undo it, where it was begun and `check` says that it is there."""
        if not Path(step.data["note"]).exists():
            return
        with Session(step.data["address"], step.data["session"], statement_s=UNDONE_WITHIN_S) as session:
            session.value(_ALONE, step.data["session"])
            if _check(session, step):
                _carry_out(session, step, "undo", there=False)


def _carry_out(session: Session, step: Step, what: str, *, there: bool) -> None:
    """`do` or `undo`; `check` must say `there` after it, or it is an error (and nothing of a transaction stays)."""
    wanted = step.data[what]
    if isinstance(wanted, str):
        _in_a_transaction(session, step, what, wanted, there=there)
        return
    for part in wanted:
        try:
            session.execute(part)
        except DatabaseRefused as refused:
            raise _failed(step, what, refused) from refused
    until = time.monotonic() + SHOWS_WITHIN_S
    while _check(session, step) is not there:
        if time.monotonic() > until:
            raise _ineffective(step, what)
        time.sleep(0.05)


def _in_a_transaction(session: Session, step: Step, what: str, sql: str, *, there: bool) -> None:
    for left in reversed(range(ATTEMPTS)):
        session.execute("BEGIN")
        try:
            session.execute(sql)
            shows = _check(session, step, own_transaction=False) is there
            session.execute("COMMIT" if shows else "ROLLBACK")
        except DatabaseRefused as refused:
            session.execute("ROLLBACK")
            if refused.sqlstate not in CROSSED or not left:
                raise _failed(step, what, refused) from refused
            time.sleep(GIVEN_WAY_S)
        else:
            if not shows:
                raise _ineffective(step, what)
            return


def _check(session: Session, step: Step, *, own_transaction: bool = True) -> bool:
    """The answer, which must be a boolean. By itself it is read only: who looks changes nothing."""
    try:
        if own_transaction:
            session.execute("BEGIN READ ONLY")
        try:
            answer = session.value(step.data["check"])
        finally:
            if own_transaction:
                session.execute("ROLLBACK")
    except DatabaseRefused as refused:
        raise CrashcartError(f"`check` failed: {refused.what}", where=step.target) from refused
    if not isinstance(answer, bool):
        what = f"`check` gave {in_short(repr(answer))} and no boolean"
        raise CrashcartError(what, where=step.target, remedy="write one that does, such as SELECT EXISTS (…)")
    return answer


def _failed(step: Step, what: str, refused: DatabaseRefused) -> CrashcartError:
    remedy = (
        f"write `{what}` as a list: each entry is done by itself" if refused.sqlstate == NOT_IN_A_TRANSACTION else ""
    )
    return CrashcartError(f"`{what}` failed: {refused.what}", where=step.target, remedy=remedy)


def _ineffective(step: Step, what: str) -> CrashcartError:
    said = "is not true" if what == "do" else "is still true"
    kind = CrashcartError if what == "do" else NotUndone
    return kind(f"`{what}` was done, and `check` {said} after it", where=step.target)


def _parts(texts: str | tuple[str, ...]) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else texts


FAULT: FaultKind = Sql()
