"""What people say to a run that is under way: from any terminal by files beside its record, at its own by a key."""

from __future__ import annotations

import json
import os
import select
import sys
import time
import unicodedata
from collections.abc import Sequence

import msgspec

from crashcart.model.errors import UsageError
from crashcart.processes import is_same_process
from crashcart.safety.active import ActiveRun, abort_requested, active_runs, beside

TEXT_MAX = 200
"""Characters of a mark."""
MARKS_MAX = 200
"""Of one run: a loop that went wild fills neither the disk nor the report."""
_LINE_MAX = 6 * TEXT_MAX + 100
"""Bytes of a mark's line at most: a character is at most six in JSON."""


class Mark(msgspec.Struct, frozen=True):
    """One mark, and when it was said."""

    mono_s: float
    """CLOCK_MONOTONIC."""
    text: str


def runs_under_way() -> tuple[ActiveRun, ...]:
    """Registered runs whose harness lives. UsageError where there is none."""
    runs = tuple(run for run in active_runs() if is_same_process(run.harness))
    if not runs:
        left = any(True for _ in active_runs())
        remedy = "a run was left behind: `crashcart recover`" if left else "start one with `crashcart run EXPERIMENT`"
        raise UsageError("no run is under way", remedy=remedy)
    return runs


def timelines_under_way() -> tuple[ActiveRun, ...]:
    """Runs that have a timeline, without the suites that they are part of. UsageError where there is none."""
    runs = tuple(run for run in runs_under_way() if not run.is_suite)
    if not runs:
        raise UsageError("no run is under way", remedy="a suite is between two of its runs: say it again in a moment")
    return runs


def cleaned(text: str) -> str:
    """One line without control characters, 200 characters at most. UsageError where nothing is left."""
    spaced = "".join(" " if char.isspace() else char for char in text)
    shown = "".join(char for char in spaced if not unicodedata.category(char).startswith("C"))
    line = " ".join(shown.split())[:TEXT_MAX].strip()
    if not line:
        raise UsageError("the mark says nothing", remedy='crashcart mark "mitigated"')
    return line


def say_mark(run_id: str, text: str) -> str:
    """Put a mark on the run's timeline, now. Returns the text as it will stand there.

    Raises:
        UsageError: there is nothing to say, the run has enough marks, or the file can't be written.
    """
    path, line = beside(run_id, ".marks"), cleaned(text)
    try:
        if path.exists() and path.read_bytes().count(b"\n") >= MARKS_MAX:
            raise UsageError(f"{run_id} has {MARKS_MAX} marks already", remedy="note it elsewhere")
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, json.dumps({"mono_s": time.monotonic(), "text": line}).encode() + b"\n")
        finally:
            os.close(descriptor)
    except OSError as problem:
        raise UsageError(f"the mark can't be written: {problem.strerror}", where=str(path)) from problem
    return line


def ask_to_go_on(run_id: str) -> str:
    """End the phase that is being held. Returns its name; UsageError where none is."""
    try:
        phase = beside(run_id, ".holding").read_text(encoding="utf-8")
    except OSError:
        remedy = "a run holds a phase when it is started with --hold, once the phase's own time is over"
        raise UsageError(f"{run_id} holds no phase", remedy=remedy) from None
    beside(run_id, ".next").touch()
    return phase


class OperatorsWord:
    """Implements `ports.Operator`."""

    def __init__(self, run_id: str) -> None:
        """Of the run under way in this process."""
        self._run_id = run_id
        self._marks = beside(run_id, ".marks")
        self._read = 0
        self._holding = False

    def wants_end(self) -> bool:
        """Somebody said `crashcart abort`, since the last time this was asked."""
        return abort_requested(self._run_id)

    def marks(self) -> Sequence[tuple[float, str]]:
        """Marks said since the last time, (monotonic seconds, text). A few microseconds where there is none."""
        try:
            if self._marks.stat().st_size <= self._read:
                return ()
            with self._marks.open("rb") as file:
                file.seek(self._read)
                data = file.read(MARKS_MAX * _LINE_MAX)
        except OSError:
            return ()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        return tuple(mark for line in whole.splitlines() if (mark := _decoded(line)) is not None)

    def hold(self, phase: str) -> None:
        """From now on Enter, or `crashcart next`, ends that phase; what was said before does not count."""
        self._said_at_terminal()
        beside(self._run_id, ".next").unlink(missing_ok=True)
        beside(self._run_id, ".holding").write_text(phase, encoding="utf-8")
        self._holding = True

    def goes_on(self) -> bool:
        """Whether it was said."""
        return self._holding and (self._said_at_terminal() or beside(self._run_id, ".next").exists())

    def let_go(self) -> None:
        """The phase is over. Idempotent."""
        self._holding = False
        for suffix in (".holding", ".next"):
            beside(self._run_id, suffix).unlink(missing_ok=True)

    def _said_at_terminal(self) -> bool:
        """Whether a line was typed at our own terminal; reads all of it. Never waits."""
        said = False
        try:
            if sys.stdin is None or not sys.stdin.isatty():
                return False
            descriptor = sys.stdin.fileno()
            # who reads a terminal from the background is stopped by the kernel
            while os.tcgetpgrp(descriptor) == os.getpgrp() and select.select([descriptor], [], [], 0)[0]:
                if not os.read(descriptor, 4096):
                    return said
                said = True
        except (OSError, ValueError):  # the terminal went away
            return said
        return said


def _decoded(line: bytes) -> tuple[float, str] | None:
    """None for what is no mark: whoever else wrote there."""
    try:
        mark = msgspec.json.decode(line, type=Mark)
        return mark.mono_s, cleaned(mark.text)
    except (msgspec.DecodeError, UsageError):
        return None
