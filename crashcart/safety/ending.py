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
from crashcart.processes import is_same_process, processes_of_run
from crashcart.runtimes.ending import end_stack
from crashcart.runtimes.state_dir import STATE_PREFIX
from crashcart.runtimes.topology_file import load_topology
from crashcart.safety.active import ActiveRun

DOCKER = "docker"
KILL_WITHIN_S = 1.0
_LOOK_S = 0.05
_ANY_RUN = "[0-9]*T[0-9]*Z-*"
"""Every run's id, to look for files by."""
_NOWHERE = Path("/nonexistent/crashcart-none")
"""The folder of a stack that has none yet: a boot cut short is known by its processes alone."""


def end_run(run_id: str, state_dir: str = "", known: Iterable[ProcessRef] = ()) -> tuple[ProcessRef, ...]:
    """End it as its runtime does, then look for ourselves and kill what is left. Returns what would not end."""
    assert run_id, "without a run there is no telling which processes are meant"
    end_stack(run_id, Path(state_dir) if state_dir else _NOWHERE)
    return kill_leftovers(run_id, known)


def containers_left(run: ActiveRun) -> tuple[str, ...]:
    """What the engine still keeps of a run in containers, or that it does not answer."""
    if run.runtime != DOCKER:
        return ()
    from crashcart.runtimes.container_leftovers import left_of

    return left_of(run.run_id)


def remove_containers(run_id: str, runtime: str) -> tuple[str, ...]:
    """Remove what the engine keeps of a run, also of one of which nobody knows what had started it.

    Returns what is left, or that the engine of a run in containers does not answer.
    """
    if runtime not in (DOCKER, ""):
        return ()
    from crashcart.runtimes.container_leftovers import remove_run
    from crashcart.runtimes.containers import engine_may_be_there

    if not engine_may_be_there():
        return ()
    left = remove_run(run_id)
    return left if runtime else ()


def kill_leftovers(
    run_id: str, known: Iterable[ProcessRef] = (), *, within_s: float = KILL_WITHIN_S
) -> tuple[ProcessRef, ...]:
    """SIGKILL all processes of the run, again and again: one may be starting another. What is left after `within_s`."""
    until = time.monotonic() + within_s
    known = set(known)
    while True:
        living = processes_of_run(run_id, known)
        # found once, always ours: a child whose parent has died since is known by this alone
        known |= living
        if not living or time.monotonic() >= until:
            return tuple(sorted(living, key=lambda ref: ref.pid))
        for ref in living:
            _kill(ref)
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


def find_state_dir(run_id: str, temporary: str) -> str:
    """The run's folder where nobody has said so: its boot was cut short. "" where there is none."""
    for parent in _parents(temporary):
        folder = Path(parent, f"{STATE_PREFIX}{run_id}")
        if folder.exists() and _is_of_run(folder, run_id):
            return str(folder.resolve())
    return ""


def all_state_dirs(temporary: str) -> frozenset[Path]:
    """The throw-away folders of all runs, whoever's they are: what has such a name, where such folders are made."""
    return frozenset(
        path.resolve() for parent in _parents(temporary) for path in Path(parent).glob(f"{STATE_PREFIX}{_ANY_RUN}")
    )


def _parents(temporary: str) -> tuple[str, ...]:
    """Where a run may have made its folder."""
    return (temporary, "/dev/shm", "/var/tmp", "/tmp")  # noqa: S108 - nothing is made there


def read_topology(state_dir: str | Path) -> Topology | None:
    """What was started, as far as it was written down; None where it was not, or not whole."""
    try:
        return load_topology(state_dir)
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


def _kill(ref: ProcessRef) -> None:
    if is_same_process(ref):
        try:
            os.kill(ref.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return  # gone meanwhile; or another account's, which the caller is told by its being left
