"""A real Toxiproxy, and something behind it."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crashcart.runtimes.addresses import LOOPBACK, Reservations
from crashcart.runtimes.spec import SpawnSpec, Started
from crashcart.runtimes.starting import Starter, ending_words
from crashcart.runtimes.toxiproxy_server import toxiproxy_argv
from crashcart.tools import Toolbox
from crashcart.toxiproxy import Toxiproxy

LARGE_BYTES = 8 * 1024 * 1024


class _Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"x" * (LARGE_BYTES if self.path == "/large" else 5)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        return


class _Upstream(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        return  # clients that abort are what some tests are about


@dataclass(frozen=True)
class Server:
    client: Toxiproxy
    process: Started
    upstream: str
    reservations: Reservations

    def address(self) -> str:
        return f"{LOOPBACK}:{self.reservations.take()}"

    def get(self, address: str, path: str = "/", *, timeout_s: float = 10.0) -> bytes:
        with self.connect(address, timeout_s=timeout_s) as connection:
            return ask(connection, path)

    def connect(self, address: str, *, timeout_s: float = 10.0) -> socket.socket:
        host, port = address.rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout=timeout_s)


def ask(connection: socket.socket, path: str = "/") -> bytes:
    """One request of a small page on an open connection: its body; b"" when the connection was cut."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    received = b""
    while not received.endswith(b"xxxxx"):
        try:
            chunk = connection.recv(65536)
        except ConnectionResetError:
            return b""
        if not chunk:
            return b""
        received += chunk
    return received.rpartition(b"\r\n")[2]


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with _Upstream((LOOPBACK, 0), _Pages) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"{LOOPBACK}:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def server(toolbox: Toolbox, upstream: str, tmp_path: Path) -> Iterator[Server]:
    reservations, starter = Reservations(), Starter()
    address, log = f"{LOOPBACK}:{reservations.take()}", tmp_path / "toxiproxy.log"
    argv = toxiproxy_argv(toolbox.toxiproxy.path, address)
    process = starter.spawn(SpawnSpec("toxiproxy", argv, {"LOG_LEVEL": "error"}, "/", str(log)))
    try:
        starter.wait_ready(
            lambda: ending_words(process),
            name="toxiproxy",
            kind="toxiproxy",
            address=address,
            log=str(log),
            within_s=10.0,
            flush_log=process.flush_log,
        )
        yield Server(Toxiproxy(f"http://{address}"), process, upstream, reservations)
    finally:
        process.kill()
        process.wait()
        reservations.release()
