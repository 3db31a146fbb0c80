"""Ports of the loopback interface, held for as long as a stack lives.

A port is held by a socket that is bound and never listens. With SO_REUSEADDR on both sides, which servers set anyhow,
the process it is meant for can listen on it all the same, while the kernel gives it to nobody else: neither to a
program that asks for any port, nor as the near end of a connection. So a service that is killed finds its port free
when it comes back.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

from crashcart.model.errors import UsageError

LOOPBACK = "127.0.0.1"
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 20_000
_FEWEST = 2_000
_ATTEMPTS = 200


class Reservations:
    """The ports of one stack. Not thread-safe: all are taken before anything starts."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []
        self._range = _below_ephemeral()

    def take(self) -> int:
        """Any free port, held from now on."""
        for _ in range(_ATTEMPTS):
            # where the kernel's own range leaves no room below it, the kernel chooses
            wanted = random.randrange(*self._range) if self._range else 0
            held = _hold_alone(wanted)
            if held is not None:
                self._held.append(held)
                port: int = held.getsockname()[1]
                return port
        raise UsageError(f"found no free port on {LOOPBACK} in {_ATTEMPTS} attempts")

    def take_fixed(self, port: int, *, asked_by: str) -> int:
        """The port that the user fixed. UsageError where somebody has it."""
        held = _hold_unless_listening(port) if 0 < port < 65_536 else None
        if held is None:
            raise UsageError(
                f"port {port} of {LOOPBACK} is taken, or may not be used",
                where=asked_by,
                remedy="free it, name another, or name none: then a free one is chosen",
            )
        self._held.append(held)
        return port

    def release(self) -> None:
        """Hold nothing any more. Idempotent."""
        while self._held:
            self._held.pop().close()


def _hold_alone(port: int) -> socket.socket | None:
    # bound first and made to share after: of two stacks that want the same port at the same moment, one gets it
    held = socket.socket()
    try:
        held.bind((LOOPBACK, port))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError:
        held.close()
        return None
    return held


def _hold_unless_listening(port: int) -> socket.socket | None:
    # connections that a former listener has closed linger on the port for a minute: they are no reason to refuse it
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind((LOOPBACK, port))
    except OSError:
        held.close()
        return None
    return held


def _below_ephemeral() -> tuple[int, int] | None:
    try:
        first = int(_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return None
    return (_LOWEST, first) if first - _LOWEST >= _FEWEST else None
