"""A session that locks a table and does not let go: a migration gone wrong, a forgotten transaction."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from crashcart.faults.database_sessions import DatabaseRefused, Session, SessionObserver, end_sessions
from crashcart.faults.databases import DatabaseFault, DatabaseSettings, kept_as, quoted_table
from crashcart.model.design import Design
from crashcart.model.errors import CrashcartError
from crashcart.model.fault import Step
from crashcart.model.topology import Instance
from crashcart.ports import FaultKind, Observation, Observer, World

ACQUIRED_WITHIN_S = 6.0
"""While it waits, others queue behind it: longer than a healthy shop's longest transaction, and no more."""
NOT_AVAILABLE = "55P03"

Mode = Literal["ACCESS EXCLUSIVE", "EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE"]

_MEETS = {"ACCESS EXCLUSIVE": "ACCESS SHARE", "EXCLUSIVE": "ROW SHARE"}
"""The weakest lock that each mode keeps out: what a SELECT, or a SELECT … FOR UPDATE, takes. The others: a write's."""
_HELD = """
SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'relation' AND relation = to_regclass($1)::oid AND mode = $2 AND granted AND application_name = $3
"""


class Settings(DatabaseSettings, frozen=True, forbid_unknown_fields=True):
    """ACCESS EXCLUSIVE keeps out all, EXCLUSIVE those that write or lock rows, the other two those that write."""

    table: str
    mode: Mode = "ACCESS EXCLUSIVE"


class Lock(DatabaseFault):
    """`database/lock: {database: inventory-db, table: products}`."""

    kind: ClassVar[str] = "database/lock"
    summary: ClassVar[str] = "A session holds a lock on a table; whoever needs the table waits."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """The database's instances. UsageError for a table that can't be named."""
        assert isinstance(settings, Settings)
        quoted_table(settings.table)
        return super().targets(settings, design)

    def title(self, settings: msgspec.Struct) -> str:
        """`products in inventory-db is locked (ACCESS EXCLUSIVE)`."""
        assert isinstance(settings, Settings)
        return f"{settings.table} in {settings.database} is locked ({settings.mode})"

    def data(self, settings: msgspec.Struct, instance: Instance) -> dict[str, Any]:
        """The table, quoted, and the mode."""
        assert isinstance(settings, Settings)
        return {"table": quoted_table(settings.table), "mode": settings.mode}

    def look_at(self, step: Step) -> Observer:
        """The lock is granted to our session, and another one that needs the table is kept out of it."""
        table, mode, name = step.data["table"], step.data["mode"], step.data["session"]
        lock_name = f"{mode.title().replace(' ', '')}Lock"

        def see(session: Session) -> Observation:
            held = session.value(_HELD, table, lock_name, name) > 0
            kept_out = _kept_out(session, table, _MEETS.get(mode, "ROW EXCLUSIVE"))
            note = f"the lock is {'held' if held else 'not held'}, others are {'kept out' if kept_out else 'let in'}"
            return Observation(there=held and kept_out, note=note)

        return SessionObserver(step.data["address"], name, see)

    def apply(self, step: Step, world: World) -> None:
        """Wait for the lock, behind those that use the table; then hold it."""
        most_s = ACQUIRED_WITHIN_S
        session = Session(step.data["address"], step.data["session"], statement_s=most_s + 0.5, lock_s=most_s)
        try:
            _acquire(session, step)
        except CrashcartError:
            session.close()
            raise
        world.keep(kept_as(step), session)

    def undo(self, step: Step, world: World) -> None:
        """End the session, here or, by its name, on the server."""
        world.let_go(kept_as(step))
        end_sessions(step.data["address"], step.data["session"])


def _acquire(session: Session, step: Step) -> None:
    # newer servers can bound a whole transaction, too
    session.value("SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'")
    session.execute("BEGIN")
    try:
        session.execute(f"LOCK TABLE {step.data['table']} IN {step.data['mode']} MODE")
    except DatabaseRefused as refused:
        if refused.sqlstate != NOT_AVAILABLE:
            raise
        what = f"{step.data['table']} could not be locked within {ACQUIRED_WITHIN_S:g} s: somebody holds it"
        raise CrashcartError(what, where=step.target) from refused


def _kept_out(session: Session, table: str, mode: str) -> bool:
    session.execute("BEGIN")
    try:
        session.execute(f"LOCK TABLE {table} IN {mode} MODE NOWAIT")
    except DatabaseRefused as refused:
        if refused.sqlstate != NOT_AVAILABLE:
            raise
        return True
    finally:
        session.execute("ROLLBACK")
    return False


FAULT: FaultKind = Lock()
