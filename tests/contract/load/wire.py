"""A server that says exactly the bytes a test wants, on a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Behaviour = Callable[[socket.socket], None]
"""What happens to one accepted connection; it is closed after that."""


class Wire:
    """A listening server; `connections` counts those it accepted."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def target(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._behaviour(connection)
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(timeout=5)
        for thread in self._threads:
            thread.join(timeout=5)


@contextmanager
def wire(behaviour: Behaviour) -> Iterator[Wire]:
    server = Wire(behaviour)
    try:
        yield server
    finally:
        server.close()


def request_read(connection: socket.socket) -> bytes:
    """One whole request; empty where the client has gone."""
    got = b""
    while b"\r\n\r\n" not in got:
        data = connection.recv(65536)
        if not data:
            return b""
        got += data
    head, _, body = got.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def says(*parts: bytes) -> Behaviour:
    """Answer one request with these bytes, then close."""

    def behaviour(connection: socket.socket) -> None:
        request_read(connection)
        for part in parts:
            connection.sendall(part)

    return behaviour


def keeps_saying(answer: bytes) -> Behaviour:
    """Answer every request of a kept-alive connection with the same bytes."""

    def behaviour(connection: socket.socket) -> None:
        while request_read(connection):
            connection.sendall(answer)

    return behaviour
