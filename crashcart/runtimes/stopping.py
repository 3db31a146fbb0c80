"""Stopping an instance without ending it (SIGSTOP), and continuing it, by whoever has to, from the topology alone."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from pathlib import Path

from crashcart.model.errors import CrashcartError, NotUndone
from crashcart.model.topology import Topology
from crashcart.processes import RUN_VARIABLE
from crashcart.runtimes.ending import instance_pids, send, terminate
from crashcart.runtimes.procfs import Process, environment, process_table, read_process
from crashcart.runtimes.spec import INSTANCE_VARIABLE

STOPPED_WITHIN_S = 2.0
"""One that waits for a disk stops when it has got what it waits for."""
HOG_WITHIN_S = 0.7
_LOOK_S = 0.005
_STOPPED = "T"


def pids_of(topology: Topology, instance: str) -> set[int]:
    """Every living process of one instance. KeyError where there is no such instance."""
    found = topology.instance(instance)
    return instance_pids(topology.run_id, instance, Path(found.data_dir or found.spec_file))


def pause(topology: Topology, instance: str) -> None:
    """SIGSTOP all its processes, again and again until a look finds all of them stopped: one may have forked.

    Raises:
        CrashcartError: it has no process, or one that does not stop; nothing is left stopped then.
    """
    deadline = time.monotonic() + STOPPED_WITHIN_S
    while running := [row for row in _rows(topology, instance).values() if row.state != _STOPPED]:
        for row in running:
            send(row.pid, signal.SIGSTOP)
        if time.monotonic() > deadline:
            resume(topology, instance)
            raise CrashcartError(f"process {running[0].pid} did not stop", where=instance)
        time.sleep(_LOOK_S)
    if not pids_of(topology, instance):
        raise CrashcartError("there is no process to stop", where=instance, remedy="it died; its log says why")


def resume(topology: Topology, instance: str) -> None:
    """End the hogs that stop it in slices, and SIGCONT all its processes. None at all is fine.

    Raises:
        NotUndone: one is stopped still.
    """
    end_hogs(topology, instance)
    deadline = time.monotonic() + STOPPED_WITHIN_S
    while stopped := [row for row in _rows(topology, instance).values() if row.state == _STOPPED]:
        for row in stopped:
            send(row.pid, signal.SIGCONT)
        if time.monotonic() > deadline:
            raise NotUndone(
                f"process {stopped[0].pid} is stopped", where=instance, remedy=f"kill -CONT {stopped[0].pid}"
            )
        time.sleep(_LOOK_S)


def hog_name(instance: str) -> str:
    """What the processes that stop it in slices are called in their environment."""
    return f"hog of {instance}"


def end_hogs(topology: Topology, instance: str) -> None:
    """End every process that stops the instance in slices, also another harness's. Returns when none can any more."""
    name = hog_name(instance)

    def living() -> set[int]:
        told = ((pid, environment(pid)) for pid, row in process_table().items() if row.lives)
        wanted = {RUN_VARIABLE: topology.run_id, INSTANCE_VARIABLE: name}
        return {pid for pid, env in told if wanted.items() <= env.items()}

    if found := living():
        terminate(found, HOG_WITHIN_S)
        for pid in living():
            send(pid, signal.SIGKILL)


def _rows(topology: Topology, instance: str) -> Mapping[int, Process]:
    rows = ((pid, read_process(pid)) for pid in pids_of(topology, instance))
    return {pid: row for pid, row in rows if row is not None and row.lives}
