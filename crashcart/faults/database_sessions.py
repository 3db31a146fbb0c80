"""Sessions of our own on a Postgres server, beside its proxies: blocking, bounded in time, with errors of ours.

Each is called `crashcart-<fault id>` (its `application_name`): whoever undoes a fault finds what it left behind.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from crashcart.model.errors import CrashcartError
from crashcart.ports import Observation
from crashcart.runtimes.layout import DATABASE
from crashcart.runtimes.readiness import split

if TYPE_CHECKING:
    import asyncpg  # imported when first used: the watchdog should be light

ADMIN = "postgres"
"""The server's superuser: slots are kept free for it, and it may do everything. Without one, the shop's own role."""

CONNECT_S = 1.5
LOOK_S = 0.8
"""Of an observer's session: to connect, and for each statement."""
TOO_MANY = "53300"
"""The state that says: there are no more connections."""
GONE_WITHIN_S = 1.5
"""A session that was told to end is gone by then, or it is a failure."""
MISSING_ROLE = ("28000", "28P01")
_SERVER_GONE = ("08", "57P")

_T = TypeVar("_T")


class DatabaseRefused(CrashcartError):
    """The server answered with an error."""

    def __init__(self, what: str, *, where: str, sqlstate: str) -> None:
        """`sqlstate` as in Postgres' documentation."""
        super().__init__(what, where=where)
        self.sqlstate = sqlstate


class DatabaseUnreachable(CrashcartError):
    """No answer, or none in time; the session is closed."""

    def __init__(self, what: str, *, where: str, nobody_listens: bool = False) -> None:
        """`nobody_listens`: the connection was refused, so there is no server, and no session on it."""
        super().__init__(what, where=where)
        self.nobody_listens = nobody_listens


class Session:
    """One session. Used by one thread at a time; it holds what it has locked until it is closed. Implements `Holder`.

    Methods raise DatabaseRefused or DatabaseUnreachable.
    """

    def __init__(
        self,
        address: str,
        name: str,
        *,
        statement_s: float,
        lock_s: float | None = None,
        connect_s: float = CONNECT_S,
        role: str = "",
    ) -> None:
        """`address` is host:port of the server itself. `lock_s`: longest wait for a lock. `role`: the superuser."""
        self._address = address
        self._statement_s = statement_s
        self._runner = asyncio.Runner()
        self._connection: asyncpg.Connection | None = None
        settings = {
            "application_name": name,
            "statement_timeout": _ms(statement_s),
            "lock_timeout": _ms(lock_s or statement_s),
            "idle_in_transaction_session_timeout": "0",
            "idle_session_timeout": "0",
        }
        try:
            self._connection = self._connect(role, settings, connect_s)
        except BaseException:
            self._runner.close()
            raise

    def execute(self, sql: str) -> None:
        """Statements, one or more, without arguments. Outside of BEGIN, several are one transaction."""
        self._ask(lambda connection: connection.execute(sql))

    def value(self, sql: str, *arguments: object) -> Any:
        """The first column of the first row of one statement, None without rows."""
        return self._ask(lambda connection: connection.fetchval(sql, *arguments))

    def rows(self, sql: str, *arguments: object) -> Sequence[Sequence[Any]]:
        """All rows of one statement."""
        return [tuple(row) for row in self._ask(lambda connection: connection.fetch(sql, *arguments))]

    def close(self) -> None:
        """End it, without asking the server. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._runner.run(finish([connection]))
            self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connect(self, role: str, settings: dict[str, str], within_s: float) -> asyncpg.Connection:
        def as_role(name: str) -> asyncpg.Connection:
            return _mapped(self._runner, self._address, lambda: connect(self._address, name, settings, within_s))

        if role:
            return as_role(role)
        try:
            return as_role(ADMIN)
        except DatabaseRefused as refused:
            if refused.sqlstate not in MISSING_ROLE:
                raise
            return as_role(DATABASE)

    def _ask(self, question: Callable[[asyncpg.Connection], Awaitable[_T]]) -> _T:
        connection = self._connection
        if connection is None:
            raise DatabaseUnreachable("the session is closed", where=self._address)

        async def bounded() -> _T:
            # the server's own limit comes first; this one is for a server that says nothing at all
            return await asyncio.wait_for(question(connection), self._statement_s + 0.5)

        try:
            return _mapped(self._runner, self._address, bounded)
        except DatabaseUnreachable:
            self.close()
            raise


async def connect(address: str, role: str, settings: dict[str, str], within_s: float) -> asyncpg.Connection:
    """A bare connection to the shop's database; raises what asyncpg raises."""
    import asyncpg

    host, port = split(address)
    return await asyncpg.connect(
        host=host,
        port=port,
        user=role,
        database=DATABASE,
        ssl=False,
        timeout=within_s,
        statement_cache_size=0,
        server_settings=settings,
    )


def in_our_words(error: BaseException, address: str) -> BaseException:
    """DatabaseRefused or DatabaseUnreachable for what asyncpg raises; what is none of its errors stays as it is."""
    import asyncpg

    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if state.startswith(_SERVER_GONE):
            return DatabaseUnreachable(f"{state}: {error}", where=address)
        return DatabaseRefused(f"{state}: {error}", where=address, sqlstate=state)
    if isinstance(error, TimeoutError):
        return DatabaseUnreachable("no answer in time", where=address)
    if isinstance(error, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError):
        refused = isinstance(error, ConnectionRefusedError)
        return DatabaseUnreachable(str(error) or repr(error), where=address, nobody_listens=refused)
    return error


async def finish(connections: Iterable[asyncpg.Connection]) -> None:
    """End them without asking the server."""
    for connection in connections:
        connection.terminate()
    await asyncio.sleep(0)  # transports close in the loop's next turn


def _mapped(runner: asyncio.Runner, address: str, act: Callable[[], Awaitable[_T]]) -> _T:
    async def acting() -> _T:
        return await act()

    try:
        return runner.run(acting())
    except Exception as error:
        ours = in_our_words(error, address)
        if ours is error:
            raise
        raise ours from error


def _ms(seconds: float) -> str:
    return str(max(round(seconds * 1000), 1))


def get_in(address: str, name: str, until_mono_s: float) -> Session:
    """A superuser's session; who knocks in vain takes even the places that are kept for one, for a moment each.

    Raises:
        DatabaseRefused, DatabaseUnreachable: it could not be had, or not by then.
    """
    while True:
        try:
            return Session(address, name, statement_s=GONE_WITHIN_S)
        except DatabaseRefused as refused:
            if refused.sqlstate != TOO_MANY or time.monotonic() > until_mono_s:
                raise
            time.sleep(0.02)


def end_sessions(address: str, name: str) -> None:
    """End all sessions of that name and wait until they are gone; where there is no server, there are none. Idempotent.

    Raises:
        DatabaseRefused, DatabaseUnreachable: it could not be done, or not within GONE_WITHIN_S.
    """
    until = time.monotonic() + GONE_WITHIN_S
    own = f"{name}-undo"
    ending = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1"
    try:
        with get_in(address, own, until) as session:
            while session.value(ending, name):
                if time.monotonic() > until:
                    raise DatabaseUnreachable(f"sessions called {name} do not end", where=address)
                time.sleep(0.02)
    except DatabaseUnreachable as problem:
        if not problem.nobody_listens:
            raise


class SessionObserver:
    """Looks on a session of its own, which is made anew when it was lost. Implements `ports.Observer`."""

    def __init__(self, address: str, name: str, see: Callable[[Session], Observation]) -> None:
        """`name`: the fault's sessions' name; this one's ends in `-observer`."""
        self._address = address
        self._name = f"{name}-observer"
        self._see = see
        self._session: Session | None = None

    def look(self) -> Observation:
        """What `see` sees."""
        if self._session is None:
            self._session = Session(self._address, self._name, statement_s=LOOK_S, connect_s=LOOK_S)
        try:
            return self._see(self._session)
        except DatabaseUnreachable:
            self.close()
            raise

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.close()
            self._session = None
