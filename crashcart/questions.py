"""What probes ask of a proxy in its own protocol, and what is wrong with the answer.

Short ones (`GET /livez`, Postgres's SSLRequest, Valkey's `PING`) tell whether somebody answers, and how soon. Whole
ones are long, and over with the last byte: only so can be seen what slows or cuts data. Of HTTP that is `GET /metrics`,
of Postgres a session of its own with 64 KiB of answer, of Valkey an `ECHO` of 32 KiB. The questions are long, too, at
least `LONG_BYTES`, so that what slows them can be seen as well.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from crashcart.model.topology import Topology

EVERY_S = 0.25
WHOLE_EVERY_S = 0.5
LONG_BYTES = 4_096
MOST_BYTES = 2 << 20
"""Of a longer answer no more is listened to."""

Side = Literal["through", "beside"]

_SSL_REQUEST = struct.pack("!ii", 8, 80_877_103)
_PROTOCOL_3 = 196_608
_PADDING = b"x" * LONG_BYTES
_ECHO = b"x" * 32_768
_SELECT = b"SELECT repeat('x', 65536) -- " + _PADDING + b"\0"
_ACCOUNT = b"shop"
"""User and database of every Postgres of a stack; local connections need no password."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of one proxy on one side, again and again."""

    proxy: str
    side: Side
    address: tuple[str, int]
    protocol: str
    request: bytes
    whole: bool = False

    @property
    def every_s(self) -> float:
        """Seconds between two."""
        return WHOLE_EVERY_S if self.whole else EVERY_S


def questions(topology: Topology, proxies: Sequence[str], whole: Collection[str] = ()) -> list[Question]:
    """Two of each proxy: where it listens, and where what is behind it does. `whole`: those asked for whole answers."""
    found: list[Question] = []
    for name in proxies:
        proxy = topology.proxy(name)
        sides: tuple[tuple[Side, str], ...] = (("through", proxy.listen), ("beside", proxy.upstream))
        for side, address in sides:
            host, _, port = address.rpartition(":")
            ask = _long_request if name in whole else _request
            request = ask(proxy.protocol, address)
            found.append(Question(name, side, (host, int(port)), proxy.protocol, request, name in whole))
    return found


def verdict(question: Question, heard: bytes, *, ended: bool = False) -> str | None:
    """What is wrong with an answer: "" where it is good, None while it is too short to tell. `ended`: no more comes."""
    wrong = _whole(question.protocol, heard, ended) if question.whole else _short(question.protocol, heard)
    if wrong is not None or not ended:
        return wrong
    return f"cut short after {len(heard)} bytes" if heard and question.whole else "closed without an answer"


def _whole(protocol: str, heard: bytes, ended: bool) -> str | None:
    if protocol == "postgres":
        return _whole_postgres(heard)
    return _whole_valkey(heard) if protocol == "valkey" else _whole_http(heard, ended)


def _short(protocol: str, heard: bytes) -> str | None:
    if not heard:
        return None
    if protocol == "postgres":
        return "" if heard[:1] in (b"S", b"N") else f"answered {heard[:1]!r}"
    if protocol == "valkey":
        return "" if heard.startswith(b"+") else _first_line(heard)
    return _status(heard)


def _status(heard: bytes) -> str | None:
    if len(heard) < len("HTTP/1.1 200"):
        return None
    status = heard[9:12].decode("ascii", "replace")
    return "" if heard.startswith(b"HTTP/1.") and status.startswith("2") else f"status {status}"


def _whole_http(heard: bytes, ended: bool) -> str | None:
    wrong = _status(heard)
    if wrong:
        return f"{wrong} to GET /metrics"
    head, found, body = heard.partition(b"\r\n\r\n")
    if not found:
        return None
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    length = fields.get(b"content-length", b"").strip()
    if length.isdigit():
        return "" if len(body) >= int(length) else None
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        return "" if body.endswith(b"0\r\n\r\n") else None
    return "" if ended else None


def _whole_postgres(heard: bytes) -> str | None:
    """Until it is ready for the second time: for the question, and for the next one."""
    position, ready = 0, 0
    while position + 5 <= len(heard):
        kind, (length,) = heard[position : position + 1], struct.unpack_from("!i", heard, position + 1)
        if length < 4:
            return f"answered {kind!r}"
        content, position = heard[position + 5 : position + 1 + length], position + 1 + length
        if position > len(heard):
            return None
        if kind == b"E":
            return _postgres_error(content)
        if kind == b"R" and content[:4] != b"\0\0\0\0":
            return "wants a password"
        ready += kind == b"Z"
        if ready == 2:
            return ""
    return None


def _postgres_error(content: bytes) -> str:
    fields = {part[:1]: part[1:] for part in content.split(b"\0") if part}
    return fields.get(b"M", b"an error").decode("utf-8", "replace")[:120]


def _whole_valkey(heard: bytes) -> str | None:
    line, found, body = heard.partition(b"\r\n")
    if not found:
        return None
    if not line.startswith(b"$") or not line[1:].isdigit():
        return _first_line(heard)
    return "" if len(body) >= int(line[1:]) + 2 else None


def _first_line(heard: bytes) -> str:
    return heard.split(b"\r\n")[0].decode("ascii", "replace")[:80]


def _request(protocol: str, address: str) -> bytes:
    if protocol == "postgres":
        return _SSL_REQUEST
    if protocol == "valkey":
        return b"PING\r\n"
    return f"GET /livez HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode()


def _long_request(protocol: str, address: str) -> bytes:
    if protocol == "postgres":
        parameters = b"user\0" + _ACCOUNT + b"\0database\0" + _ACCOUNT + b"\0\0"
        startup = struct.pack("!ii", 8 + len(parameters), _PROTOCOL_3) + parameters
        return startup + b"Q" + struct.pack("!i", 4 + len(_SELECT)) + _SELECT
    if protocol == "valkey":
        return b"*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n" % (len(_ECHO), _ECHO)
    head = f"GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nX-Padding: "
    return head.encode() + _PADDING + b"\r\n\r\n"
