"""Asking whether somebody is ready takes no longer than was allowed, whatever comes back."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from crashcart.runtimes.readiness import ask

Server = Callable[..., str]


@pytest.fixture
def server() -> Iterator[Server]:
    """Starts servers that say `first` to whoever comes, then a byte of `then` each 50 ms, for ten seconds."""
    over = threading.Event()
    with ExitStack() as leaving:

        def start(first: bytes, then: bytes = b"") -> str:
            listener = leaving.enter_context(socket.create_server(("127.0.0.1", 0)))
            thread = threading.Thread(target=_serve, args=(listener, first, then, over))
            leaving.callback(thread.join)
            leaving.callback(over.set)
            thread.start()
            return f"127.0.0.1:{listener.getsockname()[1]}"

        yield start


def _serve(listener: socket.socket, first: bytes, then: bytes, over: threading.Event) -> None:
    connection, _ = listener.accept()
    with connection, suppress(OSError):
        connection.recv(4096)
        connection.sendall(first)
        for _ in range(200 if then else 0):
            if over.wait(0.05):
                return
            connection.sendall(then)


@pytest.mark.parametrize(
    ("kind", "first", "then"),
    [
        ("process", b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b"."),
        ("process", b"HTTP/1.1 200 OK\r\n", b"."),
        ("process", b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"),
        ("prometheus", b"", b"H"),
        ("postgres", b"", b"R"),
    ],
)
def test_an_answer_that_trickles_is_none(server: Server, kind: str, first: bytes, then: bytes) -> None:
    address, began = server(first, then), time.monotonic()
    assert ask(kind, address, timeout_s=0.5) == "no answer within 0.5 s"
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ""),
        (b"HTTP/1.0 200 OK\r\n\r\nok", ""),
        (b"HTTP/1.1 503 No\r\nContent-Length: 8\r\n\r\nnot yet\n", "/readyz says 503: not yet"),
    ],
)
def test_an_answer_that_is_whole_is_heard(server: Server, answer: bytes, said: str) -> None:
    assert ask("process", server(answer), timeout_s=5.0) == said


def test_where_nobody_listens_that_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    assert "refused" in ask("process", address)
