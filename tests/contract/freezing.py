"""Processes that are stopped and not ended."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

_WITHIN_S = 5.0


def freeze(pid: int) -> None:
    """SIGSTOP takes effect a moment later, in one thread after the other: all are stopped when this returns."""
    os.kill(pid, signal.SIGSTOP)
    until = time.monotonic() + _WITHIN_S
    while _thread_states(pid) != {"T"}:
        assert time.monotonic() < until, f"not stopped within {_WITHIN_S:g} s"
        time.sleep(0.01)


def _thread_states(pid: int) -> set[str]:
    told = (task.joinpath("stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir())
    return {stat.rpartition(") ")[2][0] for stat in told}
