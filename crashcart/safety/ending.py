"""Ending a run from outside: every process that provably belongs to it, and its throw-away folder."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from crashcart.model.topology import ProcessRef, Topology
from crashcart.safety.processes import is_same_process, name_of, processes_of_run

TOPOLOGY_FILE = "topology.json"
_LOOK_S = 0.05


def end_run(
    run_id: str, known: Iterable[ProcessRef] = (), *, grace_s: float = 1.2, within_s: float = 2.5
) -> tuple[ProcessRef, ...]:
    """Ask all processes of the run to end, kill those that have not after `grace_s`; () when none is left.

    Looks again and again until `within_s`, because a process may start others while it is being ended. What is
    returned could not be ended (stuck in the kernel, or not ours to signal). Idempotent.
    """
    assert run_id, "without a run there is no telling which processes are meant"
    began = time.monotonic()
    asked: set[ProcessRef] = set()
    known = set(known)
    while True:
        living = processes_of_run(run_id, known)
        # found once, always ours: a child whose parent has died since is known by this alone
        known |= living
        waited_s = time.monotonic() - began
        if not living or waited_s >= within_s:
            return tuple(sorted(living, key=lambda ref: ref.pid))
        for ref in living:
            if waited_s >= grace_s:
                _signal(ref, signal.SIGKILL)
            elif ref not in asked:
                asked.add(ref)
                _signal(ref, _polite_signal(ref))
        time.sleep(_LOOK_S)


def remove_state_dir(state_dir: str | Path, run_id: str) -> str:
    """Remove the run's throw-away folder. Returns "" or why it was left: it can't be shown to be this run's."""
    folder = Path(state_dir)
    if not folder.exists():
        return ""
    if not _is_of_run(folder, run_id):
        return f"{folder} was left: it does not look like the folder of {run_id}"
    for _ in range(5):  # what is still being written to by a dying process may need a second look
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return ""
        time.sleep(_LOOK_S)
    return f"{folder} could not be removed"


def read_topology(state_dir: str | Path) -> Topology | None:
    """What was started, as far as it was written down; None where it was not, or not whole."""
    try:
        content = Path(state_dir, TOPOLOGY_FILE).read_bytes()
        return msgspec.json.decode(content, type=Topology)
    except (OSError, msgspec.DecodeError):
        return None


def known_processes(topology: Topology | None) -> tuple[ProcessRef, ...]:
    """The processes of its instances, living or not."""
    if topology is None:
        return ()
    return tuple(instance.process for instance in topology.instances if instance.process is not None)


def _is_of_run(folder: Path, run_id: str) -> bool:
    """A real folder of ours that carries the run's id, in its name or in its topology."""
    details = folder.lstat()
    if folder.is_symlink() or not folder.is_dir() or details.st_uid != os.geteuid():
        return False
    topology = read_topology(folder)
    return run_id in folder.name or (topology is not None and topology.run_id == run_id)


def _polite_signal(ref: ProcessRef) -> signal.Signals:
    """SIGTERM; for Postgres, which would wait for its clients, SIGQUIT: it leaves at once and frees shared memory."""
    return signal.SIGQUIT if name_of(ref) == "postgres" else signal.SIGTERM


def _signal(ref: ProcessRef, number: signal.Signals) -> None:
    if is_same_process(ref):
        try:
            os.kill(ref.pid, number)
        except (ProcessLookupError, PermissionError):
            return  # gone meanwhile; or another account's, which the caller is told by its being left
