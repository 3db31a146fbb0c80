"""JSON lines that survive the death of this process: one append, one write, whole lines only."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from crashcart.model.errors import CrashcartError


class RecordNotWritten(CrashcartError):
    """A record could not be put on disk (full, gone, read-only). What it announces must then not be done."""


class JsonLines:
    """An append-only file of records. Not for more than one writer process."""

    def __init__(self, path: Path) -> None:
        """Creates the file; RecordNotWritten where it can't be."""
        self.path = path
        self._encoder = msgspec.json.Encoder()
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise RecordNotWritten(f"cannot open for writing: {error.strerror}", where=str(path)) from error

    def append(self, record: object) -> None:
        """Hand one record to the kernel. It outlives this process, though not a power cut (there is no fsync)."""
        line = self._encoder.encode(record) + b"\n"
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            raise RecordNotWritten(f"cannot write: {error.strerror}", where=str(self.path)) from error
        if written != len(line):
            raise RecordNotWritten(f"only {written} of {len(line)} bytes were written", where=str(self.path))

    def close(self) -> None:
        """Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
