"""An append-only ledger in a file: what an outsider (a card processor, a mail provider) knows it did."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson


class AppendOnlyLedger:
    """One JSON object a line; a record survives a kill of the process once `append` has returned."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._drop_torn_line()
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def _drop_torn_line(self) -> None:
        """A process killed within a write may leave half a line, of a thing that was never answered: take it away."""
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.truncate(self.path, content.rfind(b"\n") + 1)

    def append(self, record: dict[str, Any]) -> None:
        """Add one record; raises OSError when the disk will not take it (nothing must be answered then)."""
        self.append_all([record])

    def append_all(self, records: list[dict[str, Any]]) -> None:
        """Add several records in one write."""
        line = b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)
        written = os.write(self._fd, line)
        while written < len(line):
            written += os.write(self._fd, line[written:])

    def read(self) -> list[dict[str, Any]]:
        """All records so far."""
        return [orjson.loads(line) for line in self.path.read_bytes().splitlines()]

    def clear(self) -> None:
        """Begin anew with an empty file: for a ledger that is only a memory, once nothing in it matters any more."""
        os.ftruncate(self._fd, 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
