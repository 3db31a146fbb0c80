"""HTTP/1.1 over gevent, one try a call, with one pool of kept-alive connections.

`geventhttpclient` parses; its client is not used, since it silently sends a GET again (up to the pool's size) when a
connection is lost, and counts its time-out anew at every read: both would hide what the shop did.

The pool is shared by all shoppers. Real shoppers each bring a connection; at 130 new sessions a second their handshakes
would cost the proxy and the storefront more than their pages do, and measure the machine instead of the shop. What
follows: a toxic that is drawn per connection hits whoever uses that connection next.
"""

from __future__ import annotations

import socket as system_socket
import time
from collections import deque
from typing import Protocol
from urllib.parse import urlsplit

import gevent
from gevent import socket
from geventhttpclient.response import HTTPParseError, HTTPResponse

from crashcart.loadkit.answers import Answer, Request
from crashcart.model.errors import UsageError

BODY_MAX_BYTES = 1 << 20
HEAD_MAX_BYTES = 1 << 16
CONNECT_S = 1.0
IDLE_S = 2.0
"""A connection unused for longer is closed, well before servers close theirs (5 s is common): no request meets a
closing door."""

_READ_BYTES = 1 << 16


class Transport(Protocol):
    """What a session asks of the network; tests have a hand-written one."""

    def exchange(self, request: Request, timeout_s: float, body_max_bytes: int = BODY_MAX_BYTES) -> Answer:
        """Send once and read the whole answer within `timeout_s`. Never raises for anything the other side does."""


class HttpTransport:
    """The real one."""

    def __init__(self, target: str) -> None:
        """`target`: `http://HOST:PORT`."""
        parts = urlsplit(target)
        try:
            port = parts.port or 80
        except ValueError as error:
            raise UsageError(f"the target {target!r} has no proper port: {error}") from error
        if parts.scheme != "http" or not parts.hostname:
            raise UsageError(f"the target {target!r} is not http://HOST:PORT")
        self._address = (parts.hostname, port)
        self._common = f"Host: {parts.netloc}\r\nUser-Agent: crashcart-shopper\r\nAccept: */*\r\n"
        self._idle: deque[tuple[socket.socket, float]] = deque()
        self.opened = 0
        """Connections opened so far."""

    def exchange(self, request: Request, timeout_s: float, body_max_bytes: int = BODY_MAX_BYTES) -> Answer:
        """As the port says. A connection that was lost after sending is `reset`: the request may have been done."""
        timer = gevent.Timeout.start_new(max(timeout_s, 0.001))
        connection: socket.socket | None = None
        sent = False
        try:
            connection = self._connection()
            sent = True
            connection.sendall(self._encode(request))
            answer, reusable = _read(connection, request.method, body_max_bytes)
            if reusable:
                self._idle.append((connection, time.monotonic()))
                connection = None
            return answer
        except gevent.Timeout as expired:
            if expired is not timer:
                raise
            return Answer(broke="timeout", sent=sent, detail=f"no whole answer within {timeout_s:.3g} s")
        except HTTPParseError as error:
            return Answer(broke="garbled", detail=str(error))
        except (OSError, EOFError) as error:
            return Answer(broke="reset" if sent else "refused", sent=sent, detail=str(error))
        finally:
            timer.close()
            if connection is not None:
                connection.close()

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop()[0].close()

    def _encode(self, request: Request) -> bytes:
        lines = [f"{request.method} {request.path} HTTP/1.1\r\n{self._common}"]
        lines.extend(f"{name}: {value}\r\n" for name, value in request.headers)
        if request.body or request.method != "GET":
            lines.append(f"Content-Type: application/json\r\nContent-Length: {len(request.body)}\r\n")
        lines.append("\r\n")
        return "".join(lines).encode("latin-1") + request.body

    def _connection(self) -> socket.socket:
        """The most recently used connection that still lives, else a new one."""
        now = time.monotonic()
        while self._idle and now - self._idle[0][1] > IDLE_S:
            self._idle.popleft()[0].close()
        while self._idle:
            connection, _ = self._idle.pop()
            if _lives(connection):
                return connection
            connection.close()
        self.opened += 1
        connection = socket.create_connection(self._address, timeout=CONNECT_S)
        connection.setsockopt(system_socket.IPPROTO_TCP, system_socket.TCP_NODELAY, 1)
        connection.settimeout(None)
        return connection


def _lives(connection: socket.socket) -> bool:
    """An idle connection has nothing to read: else it was closed, or someone talks out of turn."""
    connection.settimeout(0.0)
    try:
        connection.recv(1, system_socket.MSG_PEEK)
    except BlockingIOError:
        connection.settimeout(None)
        return True
    except OSError:
        return False
    return False


class _Response(HTTPResponse):
    """The parser, which keeps the first final answer and nothing that comes after it."""

    _final: Answer | None = None

    def answer(self) -> Answer | None:
        """None while it is not whole."""
        return self._final

    @property
    def body(self) -> bytearray:
        return self._body_buffer

    def _on_message_begin(self) -> None:
        if self._final is not None:
            raise HTTPParseError("more than one answer")
        super()._on_message_begin()

    def _on_message_complete(self) -> None:
        super()._on_message_complete()
        if self._final is None and self.get_code() >= 200:
            content_type = self.get("content-type")
            self._final = Answer(
                status=self.get_code(),
                body=bytes(self._body_buffer),
                content_type=content_type if isinstance(content_type, str) else "",
            )


def _read(connection: socket.socket, method: str, body_max_bytes: int) -> tuple[Answer, bool]:
    """The whole answer, and whether the connection may be used again."""
    response = _Response(method=method)
    left_bytes = body_max_bytes + HEAD_MAX_BYTES
    while True:
        data = connection.recv(_READ_BYTES)
        garbled: HTTPParseError | None = None
        try:
            response.feed(data)
        except HTTPParseError as error:
            garbled = error
        answer = response.answer()
        if answer is not None and len(answer.body) <= body_max_bytes:
            # whatever came after it closes the connection and changes nothing
            return answer, garbled is None and not response.should_close()
        left_bytes -= len(data)
        if len(response.body) > body_max_bytes or left_bytes < 0:
            return Answer(status=response.get_code(), broke="too-large", detail=f"over {body_max_bytes} bytes"), False
        if not data:
            raise EOFError("the connection was closed before the answer was whole")
        if garbled is not None:
            raise garbled
