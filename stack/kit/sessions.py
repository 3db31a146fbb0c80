"""Connections to one Postgres: opened in the background, given out one at a time, replaced as soon as they die."""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import TypeAlias
from urllib.parse import urlsplit

import asyncpg

from stack.kit.log import log
from stack.kit.metrics import Places
from stack.kit.settings import env_str

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

CONNECT_S = 2.0
RETRY_FIRST_S = 0.05
RETRY_MAX_S = 0.4
MAX_HANGING = 4
"""While there is no connection at all, so many attempts may hang beside each other."""
WAITERS_PER_CONNECTION = 4

# Array types that Postgres has had under these numbers for ever: (oid, name, element's oid). Told to asyncpg
# beforehand, or it asks each new connection's server for them, with four round trips and a query of some
# milliseconds.
_ARRAYS = (
    (1000, "bool", 16),
    (1005, "int2", 21),
    (1007, "int4", 23),
    (1009, "text", 25),
    (1015, "varchar", 1043),
    (1016, "int8", 20),
    (1022, "float8", 701),
    (1185, "timestamptz", 1184),
    (2951, "uuid", 2950),
    (3807, "jsonb", 3802),
)
_ARRAY_TYPES = [
    {
        "oid": oid,
        "ns": "pg_catalog",
        "name": f"_{name}",
        "kind": b"b",
        "basetype": None,
        "elemtype": element,
        "elemtype_name": name,
        "elemdelim": ",",
        "range_subtype": None,
        "attrtypoids": None,
        "attrnames": None,
    }
    for oid, name, element in _ARRAYS
]

_CONNECT_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class SessionsBusy(Exception):
    """All connections are at work: too many callers wait for one already, or none became free in time."""


class SessionPool:
    """Between `min_size` and `max_size` connections to one address.

    While none can be had, `take` refuses at once; a background task tries again every 0.4 s or sooner.
    """

    def __init__(self, address: str, link: str, *, min_size: int, max_size: int, statement_timeout_s: float) -> None:
        url = urlsplit(address)
        self._host = url.hostname or "127.0.0.1"
        self._port = url.port or 5432
        self._user = url.username or "shop"
        self._database = url.path.lstrip("/") or "shop"
        self._settings = {
            "application_name": env_str("SERVICE_INSTANCE", "service"),
            # The server's own limits, for when its client is gone and can no longer say that nobody waits.
            "statement_timeout": str(int(statement_timeout_s * 1000)),
            "idle_in_transaction_session_timeout": "10000",
            "client_connection_check_interval": "500",
            "jit": "off",
            # Statements of the shop have one good plan each; making it anew for each call doubles the server's CPU.
            "plan_cache_mode": "force_generic_plan",
        }
        self._link = link
        self._min_size = min_size
        self._max_size = max_size
        self._idle: list[Session] = []
        self._live: set[Session] = set()
        self._opening = 0
        self._waiters: deque[asyncio.Future[Session]] = deque()
        self._down: str | None = None
        self._closed = False
        self._changed = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Wait for the first connection, then keep `min_size` of them in the background."""
        while True:
            self._opening += 1
            await self._open_one()
            if self._down is None:
                break
            await asyncio.sleep(0.1)
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Close all connections and stop replacing them."""
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        for session in tuple(self._live):
            session.terminate()
        self._refuse_waiters("closed")

    @property
    def is_reachable(self) -> bool:
        """Whether there is a connection, or the last attempt to make one went well."""
        return bool(self._live) or self._down is None

    def places(self) -> Places:
        """How many connections are at work, how many there may be, and how many callers wait for one."""
        return Places(len(self._live) - len(self._idle), self._max_size, len(self._waiters))

    def idle(self) -> Session | None:
        """A free connection now, or None."""
        while self._idle:
            session = self._idle.pop()
            if not session.is_closed():
                return session
        return None

    async def take(self, until: float) -> Session:
        """A connection. Raises ConnectionError (down) or SessionsBusy."""
        session = self.idle()
        if session is not None:
            return session
        if self._down is not None and not self._live:
            raise ConnectionError(f"down: {self._down}")
        if len(self._waiters) >= WAITERS_PER_CONNECTION * self._max_size:
            raise SessionsBusy("too many wait for a connection")
        if len(self._live) + self._opening < self._max_size and self._opening <= len(self._waiters):
            self._spawn_open()
        return await self._wait(until)

    async def _wait(self, until: float) -> Session:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Session] = loop.create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout_at(loop.time() + until - monotonic()):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back(waiter.result())
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            if isinstance(error, TimeoutError):
                raise SessionsBusy("no free connection in time") from error
            raise

    def give_back(self, session: Session) -> None:
        """A connection is free again; a dead one is forgotten."""
        if session.is_closed():
            return
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(session)
                return
        self._idle.append(session)

    def drop(self, session: Session) -> None:
        """Cut a connection whose state is not known to be clean."""
        session.terminate()

    def _spawn_open(self) -> None:
        self._opening += 1
        task = asyncio.create_task(self._open_one())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open_one(self) -> None:
        """Try once to add a connection; `_down` tells how it went."""
        try:
            session = await asyncpg.connect(
                host=self._host,
                port=self._port,
                user=self._user,
                database=self._database,
                ssl=False,
                timeout=CONNECT_S,
                server_settings=self._settings,
                statement_cache_size=200,
            )
        except (*_CONNECT_ERRORS, TimeoutError) as error:
            if self._down is None:
                log("database-down", level="error", link=self._link, error=repr(error))
            self._down = str(error) or repr(error)
            if not self._live:
                self._refuse_waiters(self._down)
            return
        finally:
            self._opening -= 1
        # There is no public way to say it.
        session._protocol.get_settings().register_data_types(_ARRAY_TYPES)  # type: ignore[attr-defined]  # noqa: SLF001
        if self._down is not None:
            log("database-up", link=self._link)
        self._down = None
        self._live.add(session)
        session.add_termination_listener(lambda _: self._lost(session))
        self.give_back(session)
        self._changed.set()

    def _lost(self, session: Session) -> None:
        self._live.discard(session)
        if session in self._idle:
            self._idle.remove(session)
        self._changed.set()

    def _refuse_waiters(self, why: str) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(ConnectionError(f"down: {why}"))

    async def _keep(self) -> None:
        """Open what is missing: at once after a loss, then every RETRY_MAX_S or sooner, even while an attempt hangs."""
        pause_s = RETRY_FIRST_S
        while not self._closed:
            missing = self._wanted() - len(self._live)
            if missing <= 0:
                pause_s = RETRY_FIRST_S
                await self._change(None)
                continue
            if self._opening < missing or (not self._live and self._opening < MAX_HANGING):
                self._spawn_open()
            pause_s = RETRY_FIRST_S if await self._change(pause_s) else min(RETRY_MAX_S, pause_s * 2)

    async def _change(self, timeout_s: float | None) -> bool:
        """Wait for a connection to come or go, at most for so long; false when none did."""
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _wanted(self) -> int:
        return min(self._max_size, max(self._min_size, len(self._waiters)))
