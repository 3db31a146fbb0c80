"""HTTP/1.1 over gevent, one try a call.

geventhttpclient's own client is not used: it silently sends a GET again (up to the pool's size) when a connection is
lost, and counts its time-out anew at every read. Both would hide what the shop did.
"""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit

from gevent import get_hub, getcurrent

from crashcart.loadkit.answers import Answer, Request
from crashcart.loadkit.connections import Connection, Connections
from crashcart.loadkit.parsing import HTTPParseError, read_answer
from crashcart.model.errors import UsageError

BODY_MAX_BYTES = 1 << 20
_AFTER_WHAT_CAME = -1  # of libev's priorities: where this process was late, what came in time is read first


class _Expired(BaseException):
    """The time is up. As bare as can be: with a `gevent.Timeout` it costs 2 µs more, for each request.

    No Exception, since nothing between the socket and here is to catch it.
    """


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
        self._common = f" HTTP/1.1\r\nHost: {parts.netloc}\r\nUser-Agent: crashcart-shopper\r\nAccept: */*\r\n"
        self._connections = Connections((parts.hostname, port))

    @property
    def opened(self) -> int:
        """Connections opened so far."""
        return self._connections.opened

    def exchange(self, request: Request, timeout_s: float, body_max_bytes: int = BODY_MAX_BYTES) -> Answer:
        """As the port says. A connection that was lost after sending is `reset`: the request may have been done."""
        timer = get_hub().loop.timer(max(timeout_s, 0.001), priority=_AFTER_WHAT_CAME)
        timer.start(getcurrent().throw, _Expired, update=True)  # else it counts from when the loop last looked
        connection: Connection | None = None
        sent = False
        try:
            connection = self._connections.take()
            sent = True
            connection.send(self._encode(request))
            answer, reusable = read_answer(connection.receive, request.method, body_max_bytes)
            if reusable:
                self._connections.give_back(connection)
                connection = None
            return answer
        except _Expired:
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
        self._connections.close()

    def _encode(self, request: Request) -> bytes:
        head = f"{request.method} {request.path}{self._common}"
        for name, value in request.headers:
            head += f"{name}: {value}\r\n"
        if request.body or request.method != "GET":
            head += f"Content-Type: application/json\r\nContent-Length: {len(request.body)}\r\n"
        return f"{head}\r\n".encode("latin-1") + request.body
