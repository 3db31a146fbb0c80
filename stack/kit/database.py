"""Postgres behind a link: a deadline on every statement, errors that say what is certain, recovery with the link.

Every statement runs in autocommit unless in `transaction()`. The pool (`sessions.py`) is ours and not asyncpg's, since
what matters here is how it fails: a connection whose statement timed out is cut at once, one that died is replaced in
the background, a pool without any live connection refuses at once, and the line of those who wait is bounded.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, TypeVar

import asyncpg

from stack.kit import context, metrics
from stack.kit.sessions import Session, SessionPool, SessionsBusy
from stack.kit.settings import env_float, link_addresses

Record = asyncpg.Record
_T = TypeVar("_T")
_DAMAGED = "XX001"
_BLOCK = re.compile(r"invalid page in block (\d+)")
_TIMER_S = 0.005
"""The loop's timers may fire this much early."""

STATEMENT_TIMEOUT_S = env_float("STATEMENT_TIMEOUT_S", 5.0)

# Errors of the server after which the statement is certainly not done, though it may succeed when tried again:
# serialization and deadlock, out of resources, its time limit, starting up, lock not available, read-only, damaged
# data, I/O error.
_NOT_DONE = ("40", "53", "57014", "57P03", "55P03", "25006", "XX", "58")
# The server went away while it worked on the statement: it may have committed.
_IN_DOUBT = ("57P01", "57P02", "57P05", "08")


class DatabaseError(Exception):
    """A statement gave no result. `link` is `client.database`, `reason` a few words."""

    def __init__(self, link: str, reason: str) -> None:
        super().__init__(f"{link}: {reason}")
        self.link = link
        self.reason = reason


class DatabaseUnavailable(DatabaseError):
    """The statement was definitely not carried out."""


class DataDamaged(DatabaseUnavailable):
    """What the statement had to read can not be read: a page on the server's disk is damaged. `block` as it says."""

    def __init__(self, link: str, error: asyncpg.PostgresError) -> None:
        super().__init__(link, f"{error.sqlstate}: {error}")
        found = _BLOCK.search(str(error))
        self.block = int(found[1]) if found else None


class DatabaseOutcomeUnknown(DatabaseError):
    """The statement may have been carried out: the connection was lost, or the time was up, after it was sent."""


class StatementFailed(DatabaseError):
    """The database refused the statement for what it says; it was not carried out. `sqlstate` as in Postgres."""

    def __init__(self, link: str, error: asyncpg.PostgresError) -> None:
        super().__init__(link, f"{error.sqlstate}: {error}")
        self.sqlstate: str = error.sqlstate or ""
        self.constraint: str | None = getattr(error, "constraint_name", None)


class Database:
    """One database.

    Its methods raise DatabaseUnavailable, DatabaseOutcomeUnknown or StatementFailed, nothing else of a
    database.

    `timeout_s` bounds waiting for a connection and the statement together; the present deadline does too. A statement
    called with `idempotent=True` is repeated once, on another connection, when its connection was lost (not when time
    was up).
    """

    def __init__(self, link: metrics.LinkMetrics, pool: SessionPool) -> None:
        self.metrics = link
        self.link = link.link
        self._pool = pool
        self._usual_s = 0.0  # how long statements that went well have taken lately

    @property
    def is_reachable(self) -> bool:
        """Whether there is a connection, or the last attempt to make one went well."""
        return self._pool.is_reachable

    def places(self) -> metrics.Places:
        """How full the pool is."""
        return self._pool.places()

    async def fetch(
        self, sql: str, *args: object, timeout_s: float | None = None, idempotent: bool = False
    ) -> list[Record]:
        """All rows."""
        return await self._run(_rows, sql, args, timeout_s, idempotent)

    async def fetchrow(
        self, sql: str, *args: object, timeout_s: float | None = None, idempotent: bool = False
    ) -> Record | None:
        """The first row, or None."""
        return await self._run(_row, sql, args, timeout_s, idempotent)

    async def fetchval(self, sql: str, *args: object, timeout_s: float | None = None, idempotent: bool = False) -> Any:
        """The first column of the first row, or None."""
        row = await self._run(_row, sql, args, timeout_s, idempotent)
        return None if row is None else row[0]

    async def execute(self, sql: str, *args: object, timeout_s: float | None = None, idempotent: bool = False) -> str:
        """The command tag, for example `UPDATE 1`."""
        return await self._run(_tag, sql, args, timeout_s, idempotent)

    @asynccontextmanager
    async def transaction(self, *, timeout_s: float | None = None) -> AsyncIterator[Transaction]:
        """Several statements, all or none; committed at the end of the block, rolled back when it raises.

        What a statement inside raises is certain to be undone, so DatabaseOutcomeUnknown comes from the commit alone.
        """
        until = self._until(timeout_s)
        session = await self._take(until)
        clean = False
        try:
            await self.on(session, _script, "BEGIN", (), until, self.certain)
            yield Transaction(self, session, until)
            await self.on(session, _script, "COMMIT", (), until, self._mapped)
            clean = True
        finally:
            # An unfinished transaction ends with its connection: no round trip on a link that may be the trouble.
            if clean:
                self._pool.give_back(session)
            else:
                self._pool.drop(session)

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    async def _run(
        self,
        ask: Callable[[Session, str, tuple[object, ...]], Awaitable[_T]],
        sql: str,
        args: tuple[object, ...],
        timeout_s: float | None,
        idempotent: bool,
    ) -> _T:
        until = self._until(timeout_s)
        while True:
            session = await self._take(until)
            try:
                return await self.on(session, ask, sql, args, until, self._mapped)
            except DatabaseOutcomeUnknown:
                if not idempotent or monotonic() >= until:
                    raise
                idempotent = False
                self.metrics.retry()
            finally:
                self._pool.give_back(session)

    def _until(self, timeout_s: float | None) -> float:
        limit_s = min(STATEMENT_TIMEOUT_S if timeout_s is None else timeout_s, context.remaining_s())
        if limit_s <= 0.0:
            raise DatabaseUnavailable(self.link, "deadline passed")
        return monotonic() + limit_s

    async def _take(self, until: float) -> Session:
        session = self._pool.idle()
        if session is not None:
            return session
        try:
            # Who would get a connection too late to use it gets none: cutting it off in the middle would cost others
            # theirs.
            return await self._pool.take(until - self._usual_s)
        except SessionsBusy as error:
            self.metrics.refuse("saturated")
            raise DatabaseUnavailable(self.link, str(error)) from error
        except ConnectionError as error:
            self.metrics.refuse("refused")
            raise DatabaseUnavailable(self.link, str(error)) from error

    async def on(
        self,
        session: Session,
        ask: Callable[[Session, str, tuple[object, ...]], Awaitable[_T]],
        sql: str,
        args: tuple[object, ...],
        until: float,
        mapped: Callable[[Exception], DatabaseError],
    ) -> _T:
        """One statement on one connection, which is cut when `until` passes."""
        started = monotonic()
        outcome = "error"
        timer = asyncio.get_running_loop().call_later(until - started, session.terminate)
        self.metrics.start()
        try:
            result = await ask(session, sql, args)
            outcome = "ok"
            self._usual_s += 0.1 * (monotonic() - started - self._usual_s)
            return result
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            failure = mapped(error)
            if isinstance(failure, StatementFailed):
                outcome = "ok"  # the link is well
            elif isinstance(failure, DatabaseOutcomeUnknown):
                session.terminate()  # whatever state it is in, nobody else shall have it
            if outcome == "error" and monotonic() >= until - _TIMER_S:
                outcome = "timeout"
                unsure = isinstance(failure, DatabaseOutcomeUnknown)
                failure = (DatabaseOutcomeUnknown if unsure else DatabaseUnavailable)(self.link, "timeout")
            raise failure from error
        except AttributeError as error:
            # Between two replies of one statement asyncpg does not look whether the session has ended, and trips.
            ended = session.is_closed()
            session.terminate()
            if not ended:
                raise
            raise mapped(ConnectionResetError("the session ended within a statement")) from error
        except BaseException:  # cancelled, or a defect: the connection may be in the middle of anything
            session.terminate()
            raise
        finally:
            timer.cancel()
            self.metrics.record(outcome, monotonic() - started)

    def _mapped(self, error: Exception) -> DatabaseError:
        """What an error says of a statement in autocommit, or of a commit."""
        state = getattr(error, "sqlstate", None) if isinstance(error, asyncpg.PostgresError) else None
        if isinstance(error, asyncpg.PostgresError) and state is not None and not state.startswith(_IN_DOUBT):
            if state == _DAMAGED:
                return DataDamaged(self.link, error)
            if state.startswith(_NOT_DONE):
                return DatabaseUnavailable(self.link, f"{state}: {error}")
            return StatementFailed(self.link, error)
        return DatabaseOutcomeUnknown(self.link, f"connection lost: {error}")

    def certain(self, error: Exception) -> DatabaseError:
        """What an error says of a statement within a transaction: whatever it was, nothing of it stays."""
        failure = self._mapped(error)
        if isinstance(failure, DatabaseOutcomeUnknown):
            return DatabaseUnavailable(self.link, failure.reason)
        return failure


class Transaction:
    """Statements of one transaction; see `Database.transaction`."""

    def __init__(self, database: Database, session: Session, until: float) -> None:
        self._database = database
        self._session = session
        self._until = until

    async def fetch(self, sql: str, *args: object) -> list[Record]:
        """All rows."""
        return await self._ask(_rows, sql, args)

    async def fetchrow(self, sql: str, *args: object) -> Record | None:
        """The first row, or None."""
        return await self._ask(_row, sql, args)

    async def fetchval(self, sql: str, *args: object) -> Any:
        """The first column of the first row, or None."""
        row = await self.fetchrow(sql, *args)
        return None if row is None else row[0]

    async def execute(self, sql: str, *args: object) -> str:
        """The command tag."""
        return await self._ask(_tag, sql, args)

    async def _ask(
        self, ask: Callable[[Session, str, tuple[object, ...]], Awaitable[_T]], sql: str, args: tuple[object, ...]
    ) -> _T:
        return await self._database.on(self._session, ask, sql, args, self._until, self._database.certain)


async def _rows(session: Session, sql: str, args: tuple[object, ...]) -> list[Record]:
    return await session.fetch(sql, *args)


async def _row(session: Session, sql: str, args: tuple[object, ...]) -> Record | None:
    return await session.fetchrow(sql, *args)


async def _tag(session: Session, sql: str, args: tuple[object, ...]) -> str:
    return await session.execute(sql, *args)


async def _script(session: Session, sql: str, _args: tuple[object, ...]) -> str:
    return await session.execute(sql)


async def connect(dependency: str, *, min_size: int, max_size: int) -> Database:
    """Open a database: waits for its first connection, trying every 0.1 s (the runtime bounds a start-up)."""
    address = link_addresses(dependency)[0]
    link = metrics.link_metrics(dependency)
    pool = SessionPool(
        address, link.link, min_size=min_size, max_size=max_size, statement_timeout_s=STATEMENT_TIMEOUT_S
    )
    await pool.open()
    link.watch(pool.places)
    return Database(link, pool)
