"""A way out for text that never holds up who writes: a run does not stand still because nobody reads what it says."""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from rich.console import Console

STDOUT, STDERR = 1, 2
MOST_BYTES = 1 << 20
"""Text that waits; what comes on top of it is dropped."""
PATIENCE_S = 5.0
"""How long the end of a command waits for what has not been read yet."""
LAST_WORD_S = 2.0


class Outlet:
    """A text stream whose writes return at once; a thread of its own waits for the reader.

    It writes to a descriptor of its own, past Python's buffers: a thread that is stuck there holds none of the locks
    that the interpreter takes at its end.
    """

    def __init__(self, stream: IO[str]) -> None:
        """In place of that stream. io.UnsupportedOperation where it has no descriptor, OSError where it is gone."""
        stream.flush()
        self.encoding: str = getattr(stream, "encoding", None) or "utf-8"
        self.problem: OSError | None = None
        """Why nothing is written any more."""
        self._descriptor = os.dup(stream.fileno())
        self._terminal = os.isatty(self._descriptor)
        # a simple queue may be written to by a signal's handler that comes in the middle of another write
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._taken_bytes = 0
        self._written_bytes = 0
        self._thread = threading.Thread(target=self._write_all, name="outlet", daemon=True)
        self._thread.start()

    @property
    def waiting_bytes(self) -> int:
        """What nobody has read yet; 0 where nobody ever will."""
        return 0 if self.problem else self._taken_bytes - self._written_bytes

    def write(self, text: str) -> int:
        """Leave it to the thread. What doesn't fit is dropped."""
        data = text.encode(self.encoding, "replace")
        if self.problem is None and self.waiting_bytes + len(data) <= MOST_BYTES:
            self._taken_bytes += len(data)
            self._queue.put(data)
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""

    def isatty(self) -> bool:
        """Whether a terminal is at the other end."""
        return self._terminal

    def fileno(self) -> int:
        """Its descriptor."""
        return self._descriptor

    def close(self, within_s: float = PATIENCE_S) -> bool:
        """Wait so long for what has not been read; whether all of it has been written. Ctrl-C ends the waiting."""
        self._queue.put(None)
        try:
            self._thread.join(within_s)
        except KeyboardInterrupt:  # all that matters is done: whoever waits here waits to be shown it
            return False
        if self._thread.is_alive():
            return False
        os.close(self._descriptor)
        return self.problem is None

    def _write_all(self) -> None:
        while (data := self._queue.get()) is not None:
            try:
                self._write(data)
            except OSError as problem:
                self.problem = problem
                if problem.errno == errno.EIO:
                    let_go_of_terminal(self._descriptor)
                return

    def _write(self, data: bytes) -> None:
        while data:
            try:
                written = os.write(self._descriptor, data)
            except BlockingIOError:  # whoever shares it with us made it so
                select.select([], [self._descriptor], [])
                continue
            self._written_bytes += written
            data = data[written:]


@contextmanager
def never_waiting(console: Console) -> Iterator[None]:
    """Inside, nothing that is printed there holds anybody up, or fails: that it can't be shown changes no verdict.

    Where the reason is none that a reader gave by leaving, standard error says it at the end.
    """
    before = console.file
    try:
        outlet = Outlet(before)
    except io.UnsupportedOperation:  # it is memory, and takes everything
        yield
        return
    console.file = cast("IO[str]", outlet)
    try:
        yield
    finally:
        outlet.close()
        console.file = before
        if outlet.problem is not None and outlet.problem.errno not in (errno.EPIPE, errno.EIO):
            last_word(f"crashcart: not everything could be shown: {outlet.problem.strerror}")


def last_word(text: str) -> None:
    """A line on standard error, if somebody reads it within two seconds."""
    try:
        outlet = Outlet(sys.stderr)
    except io.UnsupportedOperation:  # it is memory, and takes everything
        sys.stderr.write(text + "\n")
        return
    except (OSError, ValueError, AttributeError):  # gone, closed, or never there: nobody is left to be told
        return
    outlet.write(text + "\n")
    outlet.close(LAST_WORD_S)


def let_go_of_terminal(descriptor: int) -> None:
    """It hung up: what would still be written to it goes nowhere, also what Python flushes at its very end."""
    gone = os.fstat(descriptor)
    if not stat.S_ISCHR(gone.st_mode):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for each in {descriptor, STDOUT, STDERR}:
        if os.fstat(each).st_rdev == gone.st_rdev:
            os.dup2(nowhere, each)
    os.close(nowhere)
