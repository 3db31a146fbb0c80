"""A process that lets an instance run for a part of the time only: it stops and continues all of it, in short slices.

`python -m crashcart.runtimes.hog ORDERS`. Nobody may stay stopped, whatever becomes of whom:

- the harness ends or dies: its end of our input closes, and our parent changes: everything is continued, and we end;
- the harness hangs: the watchdog ends us (SIGTERM) and continues everything;
- we are killed: a guard, forked by us and in a session of its own, hears a pipe close and continues everything;
- the guard is killed: we continue everything and end;
- both are killed: the fault's end, the watchdog at its expiry or the end of the run continue everything.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from pathlib import Path

import msgspec

from crashcart.runtimes.ending import instance_pids, send

PERIOD_S = 0.05
"""Once in each the instance is stopped. Shorter than any time-out of a service, much longer than a switch takes."""
LOOK_AGAIN_S = 1.0
"""So long a process that was forked meanwhile goes unnoticed."""
SHORTEST_S = 0.001
READY = b"hogging\n"
_INPUT = 0


class Orders(msgspec.Struct, frozen=True):
    """What is to be slowed, and by how much."""

    run_id: str
    instance: str
    data_dir: str
    share: float
    """Of the time in which nothing of it runs."""
    parent: int
    """Without this parent there is nobody to tell us to end."""

    def pids(self) -> set[int]:
        """Every living process of the instance."""
        return instance_pids(self.run_id, self.instance, Path(self.data_dir))


class Hog:
    """The loop."""

    def __init__(self, orders: Orders, guard: int) -> None:
        self._orders = orders
        self._guard = guard
        self._pids: set[int] = set()
        self._looked_at = 0.0
        self._told = False

    def go(self) -> None:
        """Until somebody, or the lack of somebody, ends it."""
        self._look()
        share, debt_s, began = self._orders.share, 0.0, time.monotonic()
        while True:
            slice_s = min(max(share * PERIOD_S + debt_s, SHORTEST_S), PERIOD_S)
            stopped_at = time.monotonic()
            over = self._stopped(slice_s)
            stopped_s = time.monotonic() - stopped_at
            self._say_ready()
            if over or self._is_over(max(PERIOD_S - slice_s, SHORTEST_S)):
                return
            # what a slice lacked, or had too much, the next one makes up for: a busy machine wakes us late
            now = time.monotonic()
            debt_s += share * (now - began) - stopped_s
            debt_s = min(max(debt_s, -PERIOD_S / 2), PERIOD_S / 2)
            began = now

    def _stopped(self, for_s: float) -> bool:
        until, stopped = time.monotonic() + for_s, self._pids
        for pid in stopped:
            send(pid, signal.SIGSTOP)
        try:
            # a look takes as long as a slice where there are many processes: here it is time that is lost anyway
            self._look()
            return self._is_over(max(until - time.monotonic(), 0.0))
        finally:
            for pid in stopped:
                send(pid, signal.SIGCONT)

    def _look(self) -> None:
        if time.monotonic() - self._looked_at >= LOOK_AGAIN_S:
            self._looked_at = time.monotonic()
            self._pids = self._orders.pids()

    def _is_over(self, within_s: float) -> bool:
        if os.getppid() != self._orders.parent or os.waitpid(self._guard, os.WNOHANG)[0]:
            return True
        # nothing is ever said on it: that it can be read means that it was closed
        return bool(select.select([_INPUT], [], [], within_s)[0])

    def _say_ready(self) -> None:
        if not self._told:
            self._told = True
            os.write(sys.stdout.fileno(), READY)


def main(argument: str) -> int:
    """The process's top."""
    orders = msgspec.json.decode(argument, type=Orders)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    hears, holds = os.pipe()
    guard = os.fork()
    if guard == 0:
        os.close(holds)
        _guard(orders, hears)
    os.close(hears)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(PermissionError):  # whoever starves others must not starve itself
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    try:
        Hog(orders, guard).go()
    finally:
        _continue(orders)
    return 0


def _guard(orders: Orders, hears: int) -> None:
    """Wait for the hog's end, however it ends, and continue what it may have left stopped."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        os.read(hears, 1)
    finally:
        _continue(orders)
        os._exit(0)


def _continue(orders: Orders) -> None:
    for pid in orders.pids():
        send(pid, signal.SIGCONT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
