"""Asking for echoes (ICMP, RFC 792) and counting those that come: what share of packets gets lost on the way."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections import deque

EVERY_S = 0.005
WAIT_S = 0.2
"""An echo on this machine takes a fraction of a millisecond; one that takes so long was lost."""
WINDOW_S = 0.75
_ECHO_REQUEST, _ECHO_REPLY = 8, 0
_MOST = 1 << 16


class Echoes:
    """One address, asked two hundred times a second by a thread of its own."""

    def __init__(self, address: str) -> None:
        """PermissionError where this process may not ask (it takes root)."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._socket.setblocking(False)
        self._address = address
        # the identifier tells our echoes from somebody else's ping
        self._identifier = (os.getpid() ^ id(self)) & 0xFFFF
        self._sent: deque[tuple[float, int]] = deque()
        self._came: set[int] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"echoes of {address}", daemon=True)
        self._thread.start()

    def lost(self, since_s: float, until_s: float) -> tuple[int, int]:
        """(lost, asked for) after the first and until the second of two moments of the monotonic clock.

        The second one is `WAIT_S` ago or more, the first one `WAIT_S` + `WINDOW_S` at most.
        """
        self._hear()  # what came while nobody ran is not lost
        with self._lock:
            asked = [number for at, number in self._sent if since_s < at <= until_s]
            return sum(number not in self._came for number in asked), len(asked)

    def close(self) -> None:
        """No more."""
        self._stopping.set()
        self._thread.join(timeout=1.0)
        self._socket.close()

    def _run(self) -> None:
        number = 0
        while not self._stopping.wait(EVERY_S):
            self._hear()
            now = time.monotonic()
            with self._lock:
                self._sent.append((now, number))
                while self._sent[0][0] < now - 3 * (WAIT_S + WINDOW_S):
                    self._came.discard(self._sent.popleft()[1])
            self._ask(number)
            number = (number + 1) % _MOST

    def _ask(self, number: int) -> None:
        head = struct.pack("!BBHHH", _ECHO_REQUEST, 0, 0, self._identifier, number)
        packet = struct.pack("!BBHHH", _ECHO_REQUEST, 0, checksum(head), self._identifier, number)
        try:
            self._socket.sendto(packet, (self._address, 0))
        except OSError:  # nowhere to send it: lost
            return

    def _hear(self) -> None:
        while True:
            try:
                packet, (sender, _) = self._socket.recvfrom(1024)
            except OSError:
                return
            header = (packet[0] & 0x0F) * 4
            kind, _, _, identifier, number = struct.unpack("!BBHHH", packet[header : header + 8])
            if kind == _ECHO_REPLY and identifier == self._identifier and sender == self._address:
                with self._lock:
                    self._came.add(number)


def checksum(data: bytes) -> int:
    """Of an ICMP message (RFC 1071), for an even number of bytes."""
    total: int = sum(word for (word,) in struct.iter_unpack("!H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
