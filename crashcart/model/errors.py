"""Every error a user can meet: what happened, where, and what to do about it.

Exit statuses are part of the command line's contract (see `ExitStatus`).
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path

_MOST_CHARACTERS, _HEAD, _TAIL = 480, 320, 120
"""Of what is said of a file."""


class ExitStatus(IntEnum):
    """What the process's exit status means; `docs/` and the README carry the same table."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    INCONCLUSIVE = 3
    GUARDRAIL = 4
    NOT_UNDONE = 5
    OURS = 70
    INTERRUPTED = 130


class CrashcartError(Exception):
    """An error with a remedy. `str()` is the sentence to show; the command line never shows a traceback for it."""

    exit_status: ExitStatus = ExitStatus.OURS

    def __init__(self, what: str, *, remedy: str = "", where: str = "") -> None:
        """`what` happened; `where` (a file and line, a link, an address); `remedy`: what would be right."""
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  {self.remedy}" if self.remedy else text


class UsageError(CrashcartError):
    """The user asked for something that can't be: nothing was started."""

    exit_status = ExitStatus.USAGE


class BadFile(UsageError):
    """A file of the project is wrong, at a line."""

    def __init__(self, what: str, *, file: Path | str, line: int | None, remedy: str = "") -> None:
        """`line` is 1-based, None where the file as a whole is meant. Words of the file are cut to what one reads."""
        self.file = file
        self.line = line
        super().__init__(_readable(what), where=f"{file}:{line}" if line else str(file), remedy=_readable(remedy))


def _readable(text: str) -> str:
    """On one line, nothing in it that moves a terminal's cursor, and the middle left out where it is long."""
    if not text.isprintable():
        text = " ".join(text.split("\n"))
        text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_HEAD]} … {text[-_TAIL:]}"


class MissingTool(UsageError):
    """A third-party program is neither on PATH nor in the cache and could not be made."""

    def __init__(self, name: str, remedy: str, what: str = "") -> None:
        """`name` of the tool and the one thing to do."""
        self.name = name
        super().__init__(what or f"{name} is not available", remedy=remedy)


class BootError(CrashcartError):
    """A service did not become ready. `where` names it; `last_lines` are the end of its log.

    The shop's failing, or its machine's, and not ours: nothing can be said of the experiment.
    """

    exit_status = ExitStatus.INCONCLUSIVE

    def __init__(self, instance: str, what: str, last_lines: tuple[str, ...] = (), *, remedy: str = "") -> None:
        """`instance` such as `checkout[0]`."""
        self.instance = instance
        self.last_lines = last_lines
        log = "".join(f"\n  | {line}" for line in last_lines)
        super().__init__(f"{what}{log}", where=instance, remedy=remedy)


class ControlPlaneError(CrashcartError):
    """Toxiproxy or Prometheus answered with an error, or not in time."""


class EngineError(CrashcartError):
    """The Docker engine did not answer, or not in time."""

    def __init__(self, why: object, *, where: str = "") -> None:
        """`why`: whatever the attempt ended in."""
        super().__init__(f"the Docker engine does not answer: {why}", where=where)


class NotUndone(CrashcartError):
    """A fault could not be taken back; the message names it."""

    exit_status = ExitStatus.NOT_UNDONE
