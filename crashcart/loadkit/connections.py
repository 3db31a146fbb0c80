"""Kept-alive connections, shared by all shoppers.

Real shoppers each bring a connection; at 130 new sessions a second their handshakes would cost the proxy and the
storefront more than their pages do, and measure the machine instead of the shop. What follows: a toxic that is drawn
per connection hits whoever uses that connection next.

The sockets are the system's own, not gevent's: each waits on one watcher that lives as long as it does, and is not read
before there is something to read. That halves the CPU of an exchange.
"""

from __future__ import annotations

import socket as plain_socket
import time
from collections import deque

from gevent import get_hub, socket
from gevent.monkey import get_original

CONNECT_S = 1.0
IDLE_S = 2.0
"""A connection unused for longer is closed, well before servers close theirs (5 s is common)."""

_READ = 1
_WRITE = 2
_READ_BYTES = 1 << 16
_SystemSocket: type[plain_socket.socket] = get_original("socket", "socket")


class Connection:
    """One TCP connection, for one greenlet at a time."""

    __slots__ = ("_readable", "_socket", "idle_since_s")

    def __init__(self, address: tuple[str, int]) -> None:
        """OSError where nobody listens, or doesn't take it within a second."""
        made = socket.create_connection(address, timeout=CONNECT_S)
        self._socket = _SystemSocket(fileno=made.detach())
        self._socket.setblocking(False)
        self._socket.setsockopt(plain_socket.IPPROTO_TCP, plain_socket.TCP_NODELAY, 1)
        self._readable = get_hub().loop.io(self._socket.fileno(), _READ)
        self.idle_since_s = 0.0

    def send(self, data: bytes) -> None:
        """All of it. OSError where the connection is lost."""
        sent = 0
        while True:
            try:
                sent += self._socket.send(data[sent:] if sent else data)
            except BlockingIOError:
                writable = get_hub().loop.io(self._socket.fileno(), _WRITE)
                try:
                    get_hub().wait(writable)
                finally:
                    writable.close()
            if sent == len(data):
                return

    def receive(self) -> bytes:
        """What comes next; empty at the end. OSError where the connection is lost."""
        while True:
            get_hub().wait(self._readable)
            try:
                return self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                continue

    def lives(self) -> bool:
        """An idle connection has nothing to read: else it was closed, or someone talks out of turn."""
        try:
            self._socket.recv(1, plain_socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Idempotent."""
        self._readable.close()
        self._socket.close()


class Connections:
    """The pool. It grows as far as there are requests at once, which the number of sessions bounds."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._idle: deque[Connection] = deque()
        self.opened = 0

    def take(self) -> Connection:
        """The most recently used connection that still lives, else a new one. OSError where there is none to be had."""
        old_s = time.monotonic() - IDLE_S
        while self._idle and self._idle[0].idle_since_s < old_s:
            self._idle.popleft().close()
        while self._idle:
            connection = self._idle.pop()
            if connection.lives():
                return connection
            connection.close()
        self.opened += 1
        return Connection(self._address)

    def give_back(self, connection: Connection) -> None:
        """It may be used again."""
        connection.idle_since_s = time.monotonic()
        self._idle.append(connection)

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()
