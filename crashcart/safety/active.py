"""Which runs are under way, on disk: all that `recover` and `abort` need to know of one whose harness is gone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from crashcart.model.errors import UsageError
from crashcart.model.topology import ProcessRef
from crashcart.statehome import state_home

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class ActiveRun(msgspec.Struct, frozen=True):
    """`$XDG_STATE_HOME/crashcart/active/<run_id>.json`."""

    run_id: str
    boot_id: str
    harness: ProcessRef
    faultlog: str
    recording: str
    watchdog: ProcessRef | None = None
    """None until it is ready."""
    state_dir: str = ""
    """The stack's throw-away folder; "" until it is known."""
    temporary: str = ""
    """Where it will be made, most likely."""
    runtime: str = ""
    """What starts the stack; "" where that is not known."""

    @property
    def is_suite(self) -> bool:
        """Not a run but what makes several, one after the other: it breaks nothing itself."""
        return self.faultlog == os.devnull


def register(run: ActiveRun) -> None:
    """Write the run down, whole or not at all, on disk when this returns. Replaces what was there of it.

    Raises:
        UsageError: the folder can't be written.
    """
    path = beside(run.run_id, ".json")
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with partial.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync(path.parent)
    except OSError as problem:
        what = f"can't note that a run is under way: {problem.strerror}"
        raise UsageError(
            what, where=str(path.parent), remedy="set XDG_STATE_HOME to a folder you can write"
        ) from problem


def forget(run_id: str) -> None:
    """The run is over and nothing is left of it. Idempotent."""
    for suffix in (".json", ".abort", ".marks", ".holding", ".next", ".partial"):
        beside(run_id, suffix).unlink(missing_ok=True)


def read_active(run_id: str) -> ActiveRun | None:
    """That run; None where it is not under way (or its record is unreadable)."""
    return _read(beside(run_id, ".json"))


def active_runs() -> tuple[ActiveRun, ...]:
    """All that are registered, their harness living or not, the earliest first."""
    return tuple(run for path in _records() if (run := _read(path)) is not None)


def unreadable_records() -> tuple[Path, ...]:
    """Records that are none: written by another version, or spoiled."""
    return tuple(path for path in _records() if _read(path) is None)


def request_abort(run_id: str) -> None:
    """Ask the run's harness to undo, report and end. It looks several times a second.

    Raises:
        UsageError: no such run is under way.
    """
    if read_active(run_id) is None:
        known = ", ".join(run.run_id for run in active_runs())
        remedy = f"under way: {known}" if known else "no run is under way"
        raise UsageError(f"there is no run {run_id!r} to abort", remedy=remedy)
    beside(run_id, ".abort").touch()


def abort_requested(run_id: str) -> bool:
    """Whether somebody has asked for it since the last time: said twice it means twice. A few microseconds."""
    try:
        beside(run_id, ".abort").unlink()
    except FileNotFoundError:
        return False
    return True


def beside(run_id: str, suffix: str) -> Path:
    """The file of that suffix that belongs to a run. UsageError where that is no run's id."""
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(f"{run_id!r} is not the id of a run", remedy="letters, digits, dots and dashes")
    return state_home() / "active" / f"{run_id}{suffix}"


def _records() -> Iterator[Path]:
    folder = state_home() / "active"
    yield from sorted(folder.glob("*.json"), key=lambda path: (path.stat().st_mtime_ns, path.name))


def _read(path: Path) -> ActiveRun | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=ActiveRun)
    except (OSError, msgspec.DecodeError):
        return None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
