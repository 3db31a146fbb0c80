"""Is it ready? Asked of each kind in its own words, on a fresh connection, never waiting longer than a moment."""

from __future__ import annotations

import http.client
import socket
import struct
import time
from typing import Any

TIMEOUT_S = 1.0
_POSTGRES_PROTOCOL = 0x0003_0000
_MOST_BYTES = 65_536


def ask(kind: str, address: str, *, timeout_s: float = TIMEOUT_S) -> str:
    """Empty when the instance at host:port is ready, else what it said, or why it could not be asked."""
    try:
        match kind:
            case "postgres":
                return _ask_postgres(address, timeout_s)
            case "valkey":
                return _ask_valkey(address, timeout_s)
            case "toxiproxy":
                return _ask_http(address, "/version", timeout_s)
            case "prometheus":
                return _ask_http(address, "/-/ready", timeout_s)
            case _:
                return _ask_http(address, "/readyz", timeout_s)
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except (OSError, http.client.HTTPException) as problem:
        return str(problem) or type(problem).__name__


def split(address: str) -> tuple[str, int]:
    """host:port → (host, port)."""
    host, _, port = address.rpartition(":")
    return host, int(port)


class _Bounded(socket.socket):
    """A time-out is one of each wait; here all of them end at one moment, also where an answer only trickles."""

    until_mono_s = 0.0

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """TimeoutError once the time is over."""
        left_s = self.until_mono_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self.settimeout(left_s)
        return super().recv_into(buffer, nbytes, flags)


def _connect(address: str, timeout_s: float) -> _Bounded:
    until_mono_s = time.monotonic() + timeout_s
    connection = socket.create_connection(split(address), timeout=timeout_s)
    bounded = _Bounded(fileno=connection.detach())
    bounded.settimeout(timeout_s)
    bounded.until_mono_s = until_mono_s
    return bounded


def _ask_http(address: str, path: str, timeout_s: float) -> str:
    connection = http.client.HTTPConnection(*split(address))
    connection.sock = _connect(address, timeout_s)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read(_MOST_BYTES).decode("utf-8", "replace")
        return "" if response.status == http.client.OK else f"{path} says {response.status}: {text.strip()[:300]}"
    finally:
        connection.close()


def _ask_valkey(address: str, timeout_s: float) -> str:
    with socket.create_connection(split(address), timeout=timeout_s) as connection:
        connection.sendall(b"PING\r\n")
        answer = connection.recv(_MOST_BYTES)
    return "" if answer.startswith(b"+PONG") else answer.decode("utf-8", "replace").strip()


def _ask_postgres(address: str, timeout_s: float, *, user: str = "shop", database: str = "shop") -> str:
    options = f"user\0{user}\0database\0{database}\0\0".encode()
    with _connect(address, timeout_s) as connection:
        connection.sendall(struct.pack("!ii", len(options) + 8, _POSTGRES_PROTOCOL) + options)
        with connection.makefile("rb") as answers:
            while True:
                head = answers.read(5)
                if len(head) < 5:
                    return "it closed the connection"
                kind, length = head[:1], struct.unpack("!i", head[1:])[0]
                body = answers.read(length - 4)
                if kind == b"E":
                    return _error_text(body)
                if kind == b"Z":
                    connection.sendall(b"X\0\0\0\4")
                    return ""


def _error_text(body: bytes) -> str:
    fields = {field[:1]: field[1:].decode("utf-8", "replace") for field in body.split(b"\0") if field}
    return f"{fields.get(b'C', '')} {fields.get(b'M', '')}".strip()
