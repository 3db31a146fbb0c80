"""Standard output that may go away: a terminal that was closed is no reason to leave a run half done."""

from __future__ import annotations

import errno
import os
import stat
from typing import IO, Any

STDERR = 2


class Screen:
    """A text stream for which a hang-up of its terminal is no error: what would be written there is written nowhere.

    The signal that comes with a hang-up (SIGHUP) is what ends a run, and ends it properly. A pipe that nobody reads is
    an error as ever.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As any stream's."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._hung_up(error)
            return len(text)

    def flush(self) -> None:
        """As any stream's."""
        try:
            self._stream.flush()
        except OSError as error:
            self._hung_up(error)

    def __getattr__(self, name: str) -> Any:
        """The rest is the stream's own."""
        return getattr(self._stream, name)

    def _hung_up(self, error: OSError) -> None:
        """Redirect what stands for that terminal, so that also what Python flushes at its very end goes nowhere."""
        terminal = os.fstat(self._stream.fileno())
        if error.errno != errno.EIO or not stat.S_ISCHR(terminal.st_mode):
            raise error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in {self._stream.fileno(), STDERR}:
            if os.fstat(descriptor).st_rdev == terminal.st_rdev:
                os.dup2(nowhere, descriptor)
        os.close(nowhere)
