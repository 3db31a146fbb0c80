"""Standard output that may go away: a terminal that was closed is no reason to leave a run half done."""

from __future__ import annotations

import errno
import os
import stat
from typing import IO, Any

from crashcart.outlet import let_go_of_terminal


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
        descriptor = self._stream.fileno()
        if error.errno != errno.EIO or not stat.S_ISCHR(os.fstat(descriptor).st_mode):
            raise error
        let_go_of_terminal(descriptor)
