"""Bytes of a table altered on disk: a bad disk, a bug below the database. Found by the page's checksum."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import msgspec

from crashcart.faults.database_pages import (
    SavedPage,
    evict,
    page_holding,
    read_page,
    readable,
    saved_page,
)
from crashcart.faults.database_sessions import DatabaseUnreachable, Session, SessionObserver
from crashcart.faults.databases import DatabaseFault, DatabaseSettings, in_short, quoted_table
from crashcart.model.design import Design
from crashcart.model.errors import CrashcartError, NotUndone, UsageError
from crashcart.model.fault import Step
from crashcart.model.plan import PlannedFault
from crashcart.model.topology import Instance, Topology
from crashcart.ports import FaultKind, Observation, Observer, World

DONE_WITHIN_S = 7.0
LOCKED_WITHIN_S = 4.0
UNDONE_WITHIN_S = 1.5

_FAILURES = "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()"


class Settings(DatabaseSettings, frozen=True, forbid_unknown_fields=True):
    """Page `page` of the table, or the one in which the row is whose `ctid` the query `holding` gives."""

    table: str
    page: int | None = None
    holding: str = ""


class CorruptPage(DatabaseFault):
    """`database/corrupt-page: {database: inventory-db, table: products, page: 0}`. Destructive."""

    kind: ClassVar[str] = "database/corrupt-page"
    summary: ClassVar[str] = "Bytes of a table's page are altered on disk (throw-away data only), and put back."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """The database's instances. UsageError for a table that can't be named, or not one page."""
        assert isinstance(settings, Settings)
        quoted_table(settings.table)
        if (settings.page is None) == (not settings.holding.strip()):
            raise UsageError("which page is it?", remedy="write `page: 0`, or `holding:` with a query for a ctid")
        if settings.page is not None and settings.page < 0:
            raise UsageError(f"page: {settings.page} can't be", remedy="pages are counted from 0")
        return super().targets(settings, design)

    def title(self, settings: msgspec.Struct) -> str:
        """`page 0 of products in inventory-db is damaged on disk`."""
        assert isinstance(settings, Settings)
        page = f"page {settings.page}" if settings.page is not None else f"the page of ({in_short(settings.holding)})"
        return f"{page} of {settings.table} in {settings.database} is damaged on disk"

    def steps(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> tuple[Step, ...]:
        """One an instance. UsageError where its data is not the stack's own, which is thrown away with it."""
        for target in planned.targets:
            folder = Path(topology.instance(target).data_dir)
            if not topology.state_dir or Path(topology.state_dir) not in folder.parents:
                raise UsageError(f"the data of {target} is not thrown away after the run, so it is not damaged")
        return super().steps(settings, planned, topology)

    def data(self, settings: msgspec.Struct, instance: Instance) -> dict[str, Any]:
        """The table, quoted, which page, and where the data is."""
        assert isinstance(settings, Settings)
        chosen = {"page": settings.page, "holding": settings.holding}
        return {"table": quoted_table(settings.table), "data_dir": instance.data_dir, **chosen}

    def look_at(self, step: Step) -> Observer:
        """The page can't be read, and the server itself counts checksum failures that were not there before."""
        return SessionObserver(step.data["address"], step.data["session"], _Looking(step).see)

    def apply(self, step: Step, world: World) -> None:
        """Lock the table for a moment, put the page out of memory, save it, damage it; then it must fail to be read."""
        table, name = step.data["table"], step.data["session"]
        with Session(step.data["address"], name, statement_s=DONE_WITHIN_S, lock_s=LOCKED_WITHIN_S) as session:
            session.execute("BEGIN")
            session.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            page = _chosen(session, step)
            found = read_page(session, Path(step.data["data_dir"]), table, page)
            found.save(Path(step.data["note"]))
            found.damage()
            session.execute("ROLLBACK")
            if readable(session, table, page):
                raise CrashcartError(f"page {page} of {table} can still be read", where=step.target)

    def undo(self, step: Step, world: World) -> None:
        """Put the saved bytes back, if the damaged ones are there still, and read them."""
        saved = saved_page(Path(step.data["note"]))
        if saved is None:
            return
        try:
            session = Session(step.data["address"], step.data["session"], statement_s=UNDONE_WITHIN_S)
        except DatabaseUnreachable:
            # No server has anything in memory, then. It will read the page from the disk.
            if saved.is_damaged():
                saved.put_back()
            return
        with session:
            _put_back(session, step, saved)


def _put_back(session: Session, step: Step, saved: SavedPage) -> None:
    table = step.data["table"]
    if saved.is_damaged():
        # Somebody who reads damaged pages as empty (zero_damaged_pages) would have one in memory.
        session.execute("BEGIN")
        evict(session, table, saved.page)
        session.execute("ROLLBACK")
        if saved.is_damaged():
            saved.put_back()
    if not readable(session, table, saved.page):
        what = f"page {saved.page} of {table} can't be read, and it is not as it was left: nothing was put back"
        raise NotUndone(what, where=step.target)


def _chosen(session: Session, step: Step) -> int:
    page = step.data["page"]
    return int(page) if page is not None else page_holding(session, step.data["holding"])


class _Looking:
    """What is there to be seen of a damaged page."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._failures: int | None = None
        """As the server counted them when the page was last read."""

    def see(self, session: Session) -> Observation:
        """Read the page, then ask for the count: the reading itself makes it grow where the page is bad."""
        # Which page it is, the fault has written down; before it is done, the query tells.
        saved = saved_page(Path(self._step.data["note"]))
        page = saved.page if saved is not None else _chosen(session, self._step)
        well = readable(session, self._step.data["table"], page)
        failures = int(session.value(_FAILURES) or 0)
        if well or self._failures is None or failures < self._failures:  # a server that crashed counts anew
            self._failures = failures
        grown = failures - self._failures
        note = "" if well else f"page {page} can't be read; {grown} checksum failures since it could"
        return Observation(there=not well and grown > 0, value=float(grown), note=note)


FAULT: FaultKind = CorruptPage()
