"""A small HTTP/1.1 server on asyncio and httptools: one write per answer, no task for handlers that are not coroutines.

It is strict: bad requests, endless headers, large bodies, slow senders, slow readers and deep pipelines are each
answered or cut off. What it costs beside uvicorn is measured in docs/50-the-shop.md.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from time import monotonic
from typing import Protocol, cast

import httptools

from stack.kit.http import Request, Response, problem_response
from stack.kit.problems import Problem
from stack.kit.references import random as random_reference

MAX_HEADER_BYTES = 16_384
MAX_PIPELINED = 16
IDLE_S = 75.0
"""An idle connection is kept this long: longer than any client of ours keeps it, so that the client closes first."""
STALLED_S = 15.0
"""A request that is not whole, or an answer that is not read, after this long is cut off."""
DRAIN_GRACE_S = 0.2
"""While draining, idle connections stay open this long: a request already under way is answered and not reset."""


class Answer(Protocol):
    """How an application gives its answer back."""

    def __call__(self, response: Response, headers: bytes = b"") -> None:
        """Give the answer; `headers` are whole lines added to the response's own."""


class Application(Protocol):
    """What a server serves: it calls `answer` exactly once for each request, now or later, and never raises."""

    max_body_bytes: int

    def handle(self, request: Request, answer: Answer) -> None:
        """Take one request."""


class Server:
    """The connections of one listening socket."""

    def __init__(self, application: Application, clock: Callable[[], float] = monotonic) -> None:
        self.application = application
        self.now = clock()
        self.date = b""
        self.connections: set[Connection] = set()
        self.draining = False
        self._clock = clock
        self._listener: asyncio.Server | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()

    async def listen(self, host: str, port: int) -> int:
        """Start to accept; gives the port (of use when 0 was asked for)."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Connection(self), host, port, backlog=1024)
        self._tick()
        return int(self._listener.sockets[0].getsockname()[1])

    def _tick(self) -> None:
        """Once a second: the Date header, and the connections that have been silent too long."""
        self.now = self._clock()
        self.date = b"date: %b\r\n" % formatdate(usegmt=True).encode()
        for connection in tuple(self.connections):
            connection.check(self.now)
        self._ticker = asyncio.get_running_loop().call_later(1.0, self._tick)

    async def drain(self, timeout_s: float) -> bool:
        """Stop accepting, let requests in flight finish for at most `timeout_s`; true when all did."""
        self.draining = True
        if self._listener is not None:
            self._listener.close()
        finished = await self._emptied(DRAIN_GRACE_S)
        if not finished:
            for connection in tuple(self.connections):
                connection.close_if_idle()
            finished = await self._emptied(timeout_s)
        for connection in tuple(self.connections):
            connection.abort()
        if self._ticker is not None:
            self._ticker.cancel()
        return finished

    async def _emptied(self, timeout_s: float) -> bool:
        if not self.connections:
            return True
        try:
            await asyncio.wait_for(self._empty.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if self.draining and not self.connections:
            self._empty.set()


class Connection(asyncio.Protocol):
    """One connection: parses, hands whole requests over one at a time, writes answers in order."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._max_body_bytes = server.application.max_body_bytes
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._queue: deque[tuple[Request, bool]] = deque()
        self._busy = False  # a request is with the application
        self._keep_alive = True  # the client wants the connection kept after the request at work
        self._ended = False  # nothing more is read; close once everything asked for is answered
        self._last: Response | None = None  # the refusal to send at that end
        self._writable = True
        self._reading = True
        self._in_headers = True
        self._received = 0  # bytes of the message under way
        self._refusal: Problem | None = None
        self._since = server.now  # since when the present silence or message lasts
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """The transport is gone."""
        self._transport = None
        self._ended = True
        self._queue.clear()
        self._server.forget(self)

    def data_received(self, data: bytes) -> None:
        """Bytes from the other side."""
        if self._ended:
            return
        if not self._received:
            self._since = self._server.now
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._end(None)  # we upgrade to nothing: the request is answered as it stands, and that was the last
        except httptools.HttpParserCallbackError:
            self._end(self._refusal or _refusal(500, "internal", "The server failed on this request."))
        except httptools.HttpParserError:
            self._end(_refusal(400, "bad-request", "This is not an HTTP request."))
        else:
            if self._received > MAX_HEADER_BYTES:
                self._check_size()

    def _check_size(self) -> None:
        if self._in_headers:
            self._end(_refusal(431, "headers-too-large", f"Headers are limited to {MAX_HEADER_BYTES} bytes."))
        elif self._received > MAX_HEADER_BYTES + 2 * self._max_body_bytes:
            # Chunk sizes, extensions and trailers count too: the parser sets them no limit.
            self._end(_too_large(self._max_body_bytes))

    def eof_received(self) -> bool:
        """The other side sends no more."""
        # A client that has shut its sending side may still wait for its answers.
        self._ended = True
        return self._busy or bool(self._queue)

    def pause_writing(self) -> None:
        """The other side reads too slowly."""
        self._writable = False
        self._since = self._server.now

    def resume_writing(self) -> None:
        """The other side has read enough."""
        self._writable = True
        self._since = self._server.now
        self._next()

    # ---- httptools callbacks

    def on_message_begin(self) -> None:
        """A message begins."""
        self._url = b""
        self._headers = {}
        self._body = []
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A part of the request target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """The headers are whole."""
        self._in_headers = False
        headers = self._headers
        if b"content-length" in headers and int(headers[b"content-length"]) > self._max_body_bytes:
            self._refuse(_too_large(self._max_body_bytes))
        if b"expect" in headers and headers[b"expect"].lower() == b"100-continue" and not self._busy:
            assert self._transport is not None
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > self._max_body_bytes:
            self._refuse(_too_large(self._max_body_bytes))

    def on_message_complete(self) -> None:
        """The message is whole."""
        self._in_headers = True
        self._received = 0
        target, _, query = self._url.partition(b"?")
        if target[:1] != b"/":
            target = self._path_of(target)
        parts = self._body
        request = Request(
            self._parser.get_method().decode("latin-1"),
            target.decode("latin-1"),
            query.decode("latin-1"),
            self._headers,
            parts[0] if len(parts) == 1 else b"".join(parts),
        )
        keep_alive = self._parser.should_keep_alive()
        if self._busy or self._queue or not self._writable:
            self._queue.append((request, keep_alive))
            if len(self._queue) >= MAX_PIPELINED and self._reading and self._transport is not None:
                self._reading = False
                self._transport.pause_reading()
        else:
            self._start(request, keep_alive)

    def _path_of(self, target: bytes) -> bytes:
        """The path of a target in absolute form, which a proxy may send."""
        if target[:7].lower() == b"http://":
            return b"/" + target[7:].partition(b"/")[2]
        return self._refuse(_refusal(400, "bad-request", "The request target is not a path."))

    def _refuse(self, problem: Problem) -> bytes:
        """Stop the parser; `data_received` sends the problem."""
        self._refusal = problem
        raise ValueError(problem.type)

    # ---- requests in order

    def _start(self, request: Request, keep_alive: bool) -> None:
        self._busy = True
        self._keep_alive = keep_alive
        self._server.application.handle(request, self._answer if request.method != "HEAD" else self._answer_head)

    def _answer(self, response: Response, headers: bytes = b"") -> None:
        self._write(response.head + headers, response.body)

    def _answer_head(self, response: Response, headers: bytes = b"") -> None:
        self._write(response.head + headers, b"")

    def _write(self, head: bytes, body: bytes) -> None:
        self._busy = False
        transport = self._transport
        if transport is None:
            return
        server = self._server
        last = not self._queue and self._last is None and (self._ended or server.draining)
        if self._keep_alive and not last:
            transport.write(b"%b%b\r\n%b" % (head, server.date, body))
            self._since = server.now
            if self._queue or self._last is not None:
                self._next()
        else:
            transport.write(b"%b%bconnection: close\r\n\r\n%b" % (head, server.date, body))
            self._close()

    def _next(self) -> None:
        while self._queue and not self._busy and self._writable and self._transport is not None:
            request, keep_alive = self._queue.popleft()
            self._start(request, keep_alive)
        if self._busy or self._queue or self._transport is None:
            return
        if self._last is not None:
            response, self._last = self._last, None
            self._keep_alive = False
            self._write(response.head, response.body)
        elif not self._reading and not self._ended:
            self._reading = True
            self._transport.resume_reading()

    # ---- ends

    def _end(self, problem: Problem | None) -> None:
        """Read no more: answer what was asked before, then this problem, then close."""
        if self._transport is None:
            return
        self._ended = True
        self._transport.pause_reading()
        if problem is not None:
            self._last = problem_response(problem, random_reference())
            self._next()
        elif not self._busy and not self._queue:
            self._close()

    def _close(self) -> None:
        self._ended = True
        self._queue.clear()
        self._since = self._server.now
        if self._transport is not None:
            self._transport.close()

    def check(self, now: float) -> None:
        """Cut off what has been silent too long: idle between requests, or stalled within one."""
        if self._busy and self._writable:
            return
        idle = self._received == 0 and self._writable and not self._ended
        if now - self._since > (IDLE_S if idle else STALLED_S):
            self.abort()

    def close_if_idle(self) -> None:
        """Close now unless a request is arriving, queued or at work."""
        if not self._busy and not self._queue and not self._received:
            self._close()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()


def _refusal(status: int, kind: str, detail: str) -> Problem:
    return Problem(status, kind, "The request cannot be served", detail, safe_to_retry=False)


def _too_large(limit_bytes: int) -> Problem:
    return _refusal(413, "body-too-large", f"A body is limited to {limit_bytes} bytes.")
