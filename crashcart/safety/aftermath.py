"""Clearing up after a run whose harness is gone: the same for the watchdog at once and for `recover` later."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crashcart.model.errors import BadFile
from crashcart.model.topology import ProcessRef, Topology
from crashcart.ports import FaultKind
from crashcart.processes import boot_id, is_same_process, name_of, processes_of_run
from crashcart.safety.active import ActiveRun
from crashcart.safety.ending import (
    end_run,
    find_state_dir,
    kill_leftovers,
    known_processes,
    read_topology,
    remove_containers,
    remove_state_dir,
)
from crashcart.safety.faultlog import FaultLog, OpenStep, open_steps, read_log
from crashcart.safety.undoing import Undoer
from crashcart.safety.worlds import EndingWorld

UNDO_WITHIN_S = 1.0
"""No longer than this is a control plane waited for that is about to be ended with everything else."""
_SETTLE_S = 0.25
"""A process that was being started when the harness died shows itself within this time."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What was done, and what is left to do by hand, in words."""

    done: tuple[str, ...]
    left: tuple[str, ...]
    living: int
    """Processes that could not be ended, containers not removed: as long as there are any, it is worth coming back."""


def clear_up(run: ActiveRun, kinds: Mapping[str, FaultKind], *, by: str) -> Aftermath:
    """Undo what is open, end every process of the run, remove its throw-away folder. Idempotent; bounded (5 s)."""
    state_dir = run.state_dir or find_state_dir(run.run_id, run.temporary)
    topology = read_topology(state_dir) if state_dir else None
    steps, left = _steps_to_undo(run, by)
    log = _open_log(run, by)
    undone = [] if log is None else _undo(steps, log, kinds, run.run_id, topology)
    count, living = _end(run.run_id, state_dir, known_processes(topology))
    # what was being made when the harness died is there by now
    kept = remove_containers(run.run_id, run.runtime if topology is None else topology.runtime)
    done = [f"undone: {step}" for step in undone]
    for step in [step for step in steps if step not in undone]:
        if living:
            left.append(f"not undone: {step}")
        else:
            _note_gone(log, step)
            done.append(f"gone with the process it acted on: {step}")
    if log is not None:
        log.close()
    done += [f"{count} processes ended"] if count else []
    left += [f"process {ref.pid} ({name_of(ref)}) could not be ended" for ref in living]
    left += kept
    if state_dir:
        problem = remove_state_dir(state_dir, run.run_id)
        left += [problem] if problem else []
    return Aftermath(tuple(done), tuple(left), len(living) + len(kept))


def _open_log(run: ActiveRun, by: str) -> FaultLog | None:
    """None where there is no writing to it (the recording was deleted, the disk is full): then it is done unwritten."""
    try:
        return FaultLog(Path(run.faultlog), by=by)
    except OSError:
        return None


def _note_gone(log: FaultLog | None, step: OpenStep) -> None:
    if log is not None:
        with contextlib.suppress(OSError):
            log.note("undone", step)


def _steps_to_undo(run: ActiveRun, by: str) -> tuple[list[OpenStep], list[str]]:
    """Open steps; those that `by` itself undid too: the harness may have gone on with one that was undone too early."""
    try:
        records = read_log(Path(run.faultlog))
    except BadFile as problem:
        return [], [str(problem)]
    steps = open_steps(record for record in records if not (record.op == "undone" and record.by == by))
    return [step for step in steps if step.boot_id == boot_id()], []


def _undo(
    steps: list[OpenStep], log: FaultLog, kinds: Mapping[str, FaultKind], run_id: str, topology: Topology | None
) -> list[OpenStep]:
    """Those that were undone by their own means. Nobody is spoken to who can't be shown to be the run's."""
    if topology is None or topology.run_id != run_id or not _control_plane_lives(topology):
        return []
    undoer = Undoer(log, EndingWorld(topology), kinds, give_up_s=UNDO_WITHIN_S)
    failed = {failure.step.key for failure in undoer.undo(steps)}
    return [step for step in steps if step.key not in failed]


def _control_plane_lives(topology: Topology) -> bool:
    proxies = [instance.process for instance in topology.instances if instance.kind == "toxiproxy"]
    return any(ref is not None and is_same_process(ref) for ref in proxies)


def _end(run_id: str, state_dir: str, known: tuple[ProcessRef, ...]) -> tuple[int, tuple[ProcessRef, ...]]:
    """How many processes there were, and those that would not end."""
    found = processes_of_run(run_id, known)
    living = end_run(run_id, state_dir, {*known, *found})
    if not living:
        time.sleep(_SETTLE_S)
        living = kill_leftovers(run_id, known)
    return len(found), living
