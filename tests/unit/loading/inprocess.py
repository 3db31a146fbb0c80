"""`crashcart …` within this process, through its own top, and under watch: what it starts or writes is seen."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from unittest.mock import patch

from crashcart.cli import main

_STARTS = ("subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty", "os.exec", "os.system", "pty.spawn")
_CALLS = ("socket.connect", "socket.bind", "socket.sendto")
_ALTERS = (
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "os.kill",
)
_WATCHED = frozenset((*_STARTS, *_CALLS, *_ALTERS))
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND


@dataclass
class _Watch:
    """Hooks of Python's audit can't be taken off again, so there is one, and it looks while it is told to."""

    on: bool = False
    refusing: bool = False
    """What would be started is not: for commands that would start whatever they are not kept from."""
    seen: list[str] = field(default_factory=list)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        writes = event == "open" and len(arguments) == 3 and isinstance(arguments[2], int) and arguments[2] & _WRITES
        if not writes and event not in _WATCHED:
            return
        if "__pycache__" in str(arguments[0]):  # what Python keeps for itself is not the command's
            return
        self.seen.append(f"{event} {arguments[:2]!r}"[:200])
        if self.refusing and not writes:
            raise PermissionError(f"{event} in a test that starts nothing")


@lru_cache(maxsize=1)
def _watch() -> _Watch:
    watch = _Watch()
    sys.addaudithook(watch)
    return watch


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended."""

    status: int
    out: str
    err: str
    touched: tuple[str, ...]
    """Processes started, addresses called, files written: nothing of that is for `plan` to do."""
    cpu_s: float
    """Of this process: that the machine is busy is no fault of the command."""


def call(arguments: Sequence[str], *, start: bool = True) -> Ending:
    """`crashcart` with these arguments; whatever its top lets through comes through here as well."""
    out, err, watch = io.StringIO(), io.StringIO(), _watch()
    watch.seen.clear()
    status: object = None
    argv = patch.object(sys, "argv", ["crashcart", *arguments])
    with _keys_as_they_were(), argv, redirect_stdout(out), redirect_stderr(err):
        began = time.process_time()
        watch.on, watch.refusing = True, not start
        try:
            main()
        except SystemExit as end:
            status = end.code
        finally:
            watch.on = False
            cpu_s = time.process_time() - began
    assert isinstance(status, int)
    return Ending(status, out.getvalue(), err.getvalue(), tuple(watch.seen), cpu_s)


@contextmanager
def _keys_as_they_were() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
