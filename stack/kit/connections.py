"""Connections of the HTTP client: one exchange at a time on each, kept in a bounded pool per address."""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import cast
from urllib.parse import urlsplit

import httptools

from stack.kit.metrics import Places

MAX_REPLY_BYTES = 64 * 1024 * 1024
IDLE_S = 30.0
"""Kept shorter than any server of ours keeps an idle connection, so that it is we who close."""
CONNECT_S = 2.0
WAITERS_PER_CONNECTION = 4

Exchange = tuple[int, dict[bytes, bytes], bytes]


class ConnectionLost(Exception):
    """The connection ended, or the answer was not HTTP, after the request had been written."""


class PoolBusy(Exception):
    """All connections are at work: too many callers wait for one already, or none became free in time."""


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
        self.pool = pool
        self.idle_since = 0.0
        self.counted = False
        self._loop = loop
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Exchange] | None = None
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0

    @property
    def is_open(self) -> bool:
        """Whether the other side is still there."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes, timeout_s: float) -> Exchange:
        """Send one request and wait for its whole answer.

        Raises ConnectionResetError (nothing was written), TimeoutError or ConnectionLost (it was). The connection is
        closed then, since a late answer would be taken for the next one's.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("closed before the request was written")
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(timeout_s, self._time_out)
        transport.write(request)
        try:
            exchange: Exchange = await waiter
            return exchange
        except asyncio.CancelledError:
            if self._waiter is waiter:
                self._waiter = None
                self.abort()
            raise
        finally:
            timer.cancel()

    def _time_out(self) -> None:
        self._fail(TimeoutError("no answer in time"))
        self.abort()

    def _fail(self, error: Exception) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is there."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self._transport = None
        self.pool.lost(self)
        self._fail(ConnectionLost(str(exc) if exc else "closed by the other side"))

    def data_received(self, data: bytes) -> None:
        """Bytes from the other side."""
        if self._waiter is None:  # bytes that nobody asked for: never reuse this connection
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ConnectionLost(f"not an HTTP answer: {error}"))
            self.abort()

    # ---- httptools callbacks

    def on_message_begin(self) -> None:
        """A message begins."""
        self._headers = {}
        self._body = []
        self._body_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > MAX_REPLY_BYTES:
            raise ValueError("answer too large")

    def on_message_complete(self) -> None:
        """The message is whole."""
        waiter = self._waiter
        status = self._parser.get_status_code()
        if waiter is None or status < 200:  # an interim answer: the real one follows
            return
        self._waiter = None
        body = self._body
        exchange = (status, self._headers, body[0] if len(body) == 1 else b"".join(body))
        if not waiter.done():  # else cancelled by its caller in this very moment
            waiter.set_result(exchange)
        if self._parser.should_keep_alive() and self._transport is not None and not self._transport.is_closing():
            self.pool.give_back(self)
        elif self._transport is not None:
            self._transport.close()


class Pool:
    """At most `size` connections to one address; who finds none free waits, bounded in number and by deadline."""

    def __init__(self, address: str, size: int) -> None:
        url = urlsplit(address)
        if url.scheme != "http" or url.hostname is None or url.port is None:
            raise ValueError(f"{address!r} is not an address like http://127.0.0.1:8001")
        self._hostname, self._port = url.hostname, url.port
        self._size = size
        self.idle: list[Connection] = []
        self._open = 0
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()

    def places(self) -> Places:
        """How many connections are at work, how many there may be, and how many callers wait for one."""
        return Places(self._open - len(self.idle), self._size, len(self._waiters))

    async def take(self, until: float) -> Connection:
        """A connection for one exchange. Raises OSError (refused), TimeoutError (while connecting), PoolBusy."""
        while True:
            while self.idle:
                connection = self.idle.pop()
                if monotonic() - connection.idle_since < IDLE_S:
                    return connection
                connection.abort()
            if self._open < self._size:
                return await self._connect(until)
            given = await self._wait(until)
            if given is not None:
                return given

    async def _connect(self, until: float) -> Connection:
        loop = asyncio.get_running_loop()
        self._open += 1
        try:
            async with asyncio.timeout_at(loop.time() + min(CONNECT_S, until - monotonic())):
                _, connection = await loop.create_connection(lambda: Connection(self, loop), self._hostname, self._port)
            connection.counted = True
            return connection
        except BaseException:
            self._open -= 1
            self._wake_one()
            raise

    async def _wait(self, until: float) -> Connection | None:
        if len(self._waiters) >= WAITERS_PER_CONNECTION * self._size:
            raise PoolBusy("no free connection")
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Connection | None] = loop.create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout_at(loop.time() + until - monotonic()):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                given = waiter.result()
                if given is not None:
                    self.give_back(given)
                else:
                    self._wake_one()
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            if isinstance(error, TimeoutError):
                raise PoolBusy("no free connection in time") from error
            raise

    def give_back(self, connection: Connection) -> None:
        """A connection is free again."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        connection.idle_since = monotonic()
        self.idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """A connection is gone: its place is free."""
        if not connection.counted:
            return
        self._open -= 1
        if connection in self.idle:
            self.idle.remove(connection)
        self._wake_one()

    def _wake_one(self) -> None:
        """Let the first who waits look again: there is room for a new connection."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def close(self) -> None:
        """Cut the idle connections."""
        for connection in tuple(self.idle):
            connection.abort()
