"""`crashcart recover`: mends and ends what was left behind when the watchdog was killed too, or the machine."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crashcart.faults import registry
from crashcart.model.errors import ExitStatus, UsageError
from crashcart.ports import FaultKind
from crashcart.processes import boot_id, is_same_process, is_stopped
from crashcart.safety.active import (
    ActiveRun,
    active_runs,
    forget,
    read_active,
    unreadable_records,
)
from crashcart.safety.aftermath import clear_up
from crashcart.safety.ending import DOCKER, remove_containers, remove_state_dir
from crashcart.statehome import state_home

WATCHDOG_WITHIN_S = 8.0
"""A watchdog whose harness is dead is left to do its work for so long."""


@dataclass(frozen=True, slots=True)
class RecoverReport:
    """What was done, what was left alone with the reason, and what is left to do by hand."""

    done: tuple[str, ...]
    left_alone: tuple[str, ...]
    not_undone: tuple[str, ...]

    @property
    def exit_status(self) -> ExitStatus:
        """NOT_UNDONE where something is left to do by hand."""
        return ExitStatus.NOT_UNDONE if self.not_undone else ExitStatus.PASS


def recover(
    progress: Callable[[str], None],
    kinds: Mapping[str, FaultKind] | None = None,
    *,
    watchdog_within_s: float = WATCHDOG_WITHIN_S,
) -> RecoverReport:
    """Look at every run that is registered; what has no living harness is mended, ended and tidied away. Idempotent.

    `progress` is told each line of the report as it comes about.

    Raises:
        UsageError: another `recover` is at it.
    """
    telling = _Telling(progress)
    for path in unreadable_records():
        telling.left_alone(f"{path}: not a record of a run; remove it by hand")
    if active_runs():
        lock = _only_one()
        try:
            for run in active_runs():
                _look_at(run, registry() if kinds is None else kinds, telling, watchdog_within_s)
        finally:
            os.close(lock)
    _remove_from_earlier_boots(telling)
    return telling.report()


def _remove_from_earlier_boots(telling: _Telling) -> None:
    """Containers and networks outlive a boot of the machine; who they belonged to does not."""
    from crashcart.runtimes.container_leftovers import runs_of_earlier_boots
    from crashcart.runtimes.containers import engine_may_be_there

    if not engine_may_be_there():
        return
    for run_id in sorted(runs_of_earlier_boots()):
        kept = remove_containers(run_id, DOCKER)
        for what in kept:
            telling.not_undone(f"{run_id}: {what}")
        if not kept:
            telling.done(f"{run_id}: its containers of an earlier boot were removed")


class _Telling:
    """The report, told line by line while it comes about."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._lines: dict[str, list[str]] = {"done": [], "left alone": [], "not undone": []}

    def done(self, line: str) -> None:
        self._tell("done", line)

    def left_alone(self, line: str) -> None:
        self._tell("left alone", line)

    def not_undone(self, line: str) -> None:
        self._tell("not undone", line)

    def report(self) -> RecoverReport:
        return RecoverReport(*(tuple(lines) for lines in self._lines.values()))

    def _tell(self, heading: str, line: str) -> None:
        self._lines[heading].append(line)
        self._progress(line if heading == "done" else f"{heading}: {line}")


def _look_at(run: ActiveRun, kinds: Mapping[str, FaultKind], telling: _Telling, watchdog_within_s: float) -> None:
    name = run.run_id
    if is_same_process(run.harness):
        how = "stopped" if is_stopped(run.harness) else "alive"
        telling.left_alone(f"{name}: its harness is {how} (process {run.harness.pid})")
    elif run.boot_id != boot_id():
        problem = remove_state_dir(run.state_dir, name) if run.state_dir else ""
        kept = remove_containers(name, run.runtime)
        for what in (problem, *kept) if problem else kept:
            telling.not_undone(f"{name}: {what}")
        if kept:
            return
        telling.done(f"{name}: the machine has been booted since, nothing of it runs")
        forget(name)
    elif _watchdog_did_it(run, watchdog_within_s):
        telling.done(f"{name}: its watchdog has cleared it up")
    else:
        after = clear_up(read_active(name) or run, kinds, by="recover")
        for what in after.done:
            telling.done(f"{name}: {what}")
        for what in after.left:
            telling.not_undone(f"{name}: {what}")
        if not after.living:
            telling.done(f"{name}: nothing of it runs")
            forget(name)


def _watchdog_did_it(run: ActiveRun, within_s: float) -> bool:
    """Wait for a living watchdog; one that does not get done (it was stopped, or hangs) is ended."""
    if run.watchdog is None:
        return False
    until = time.monotonic() + within_s
    while is_same_process(run.watchdog):
        if time.monotonic() >= until:
            os.kill(run.watchdog.pid, signal.SIGKILL)
            break
        time.sleep(0.1)
    return read_active(run.run_id) is None


def _only_one() -> int:
    path = state_home() / "recover.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError("another `crashcart recover` is at it", remedy="wait for it") from None
    return descriptor
