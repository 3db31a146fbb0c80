"""Ending what was started, from data alone: whoever calls need not be the one who started it.

A process belongs to a stack when its environment says so (CRASHCART_RUN_ID), when it has overwritten that with a title
(Valkey, Postgres's backends) and works in the stack's folder, when it was written down (and its start time is the
same), or when it descends from such a one.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from crashcart.model.topology import Instance, Topology
from crashcart.processes import RUN_VARIABLE, is_same_process
from crashcart.runtimes.procfs import Process, environment, family, process_table, read_process, working_folder
from crashcart.runtimes.spec import INSTANCE_VARIABLE, KIND_VARIABLE
from crashcart.runtimes.state_dir import remove_state
from crashcart.runtimes.topology_file import load_topology

GRACE_S = 1.5
"""From the first SIGTERM to SIGKILL for all."""
_FIRST_WAVE_S = 1.0
"""Services get so long to drain before the servers they drain into go."""
_POLL_S = 0.01
_SERVERS = frozenset({"postgres", "valkey", "toxiproxy", "prometheus"})
# the data is thrown away: Postgres need not write it out, Prometheus need not close its database
_STOP_SIGNALS = {"postgres": signal.SIGQUIT, "prometheus": signal.SIGKILL, "valkey": signal.SIGKILL}
DRAIN_SIGNALS = {"postgres": signal.SIGINT}
"""How a kind is asked to end in good order, where that is not SIGTERM: for Postgres this waits until all have left."""


def stop_topology(topology: Topology) -> None:
    """End every process of the stack within 2 s and remove its throw-away folder. Idempotent."""
    end_stack(topology.run_id, Path(topology.state_dir), runtime=topology.runtime)


def end_stack(run_id: str, state_dir: Path, *, runtime: str = "") -> tuple[str, ...]:
    """As `stop_topology`, knowing no more than the run and its folder (a boot that was cut short).

    `runtime`: where it is known; else the folder says it. Returns what still lives and what an engine still keeps, in
    words.
    """
    runtime = runtime or _runtime_of(state_dir)
    deadline = time.monotonic() + GRACE_S
    kinds = {pid: instance.kind for pid, instance in _written_down(state_dir).items()}
    found = stack_pids(run_id, state_dir)
    services, servers = _by_wave(found, kinds)
    _signal(services)
    # what a fault has stopped hears nothing but SIGKILL until it is continued
    _signal(dict.fromkeys(found, signal.SIGCONT))
    _wait_gone(set(services), min(deadline, time.monotonic() + _FIRST_WAVE_S))
    _signal(servers)
    _wait_gone({*services, *servers}, deadline)
    living = kill_all(lambda: stack_pids(run_id, state_dir))
    kept: tuple[str, ...] = ()
    if runtime == "docker":
        from crashcart.runtimes.container_leftovers import remove_run

        kept = remove_run(run_id)
    remove_state(state_dir)
    return (*(f"process {pid} could not be ended" for pid in sorted(living)), *kept)


def stack_pids(run_id: str, state_dir: Path) -> set[int]:
    """Every living process of the stack, ourselves left out."""
    return _owned(lambda env: env.get(RUN_VARIABLE) == run_id, state_dir, _written_down(state_dir))


def instance_pids(run_id: str, name: str, data_dir: Path) -> set[int]:
    """Every living process of one instance; `data_dir` as in its topology."""
    # <state folder>/data/<instance>
    noted = _written_down(data_dir.parent.parent)
    own = {pid: instance for pid, instance in noted.items() if instance.name == name}
    return _owned(lambda env: env.get(RUN_VARIABLE) == run_id and env.get(INSTANCE_VARIABLE) == name, data_dir, own)


def _runtime_of(state_dir: Path) -> str:
    try:
        return load_topology(state_dir).runtime
    except (OSError, msgspec.DecodeError):
        return ""


def _written_down(state_dir: Path) -> dict[int, Instance]:
    """Living processes of the stack's topology, by pid: the very ones that were started."""
    try:
        topology = load_topology(state_dir)
    except (OSError, msgspec.DecodeError):
        return {}
    return {
        instance.process.pid: instance
        for instance in topology.instances
        if instance.process is not None and is_same_process(instance.process)
    }


def _owned(is_ours: Callable[[dict[str, str]], bool], folder: Path, noted: Iterable[int]) -> set[int]:
    table = process_table()
    inside = folder.resolve()
    leaders = {row.pid for row in table.values() if row.lives and _belongs(row.pid, is_ours, inside)}
    own_session = os.getsid(0)  # whoever looks is no part of it
    leaders = {pid for pid in leaders.union(noted) if pid in table and table[pid].session != own_session}
    return {pid for pid in family(leaders, table) if pid in table and table[pid].lives and pid != os.getpid()}


def _belongs(pid: int, is_ours: Callable[[dict[str, str]], bool], folder: Path) -> bool:
    told = environment(pid)
    if told:
        return is_ours(told)
    where = working_folder(pid)
    return bool(where) and Path(where).is_relative_to(folder)


def _by_wave(
    pids: Iterable[int], kinds: Mapping[int, str]
) -> tuple[dict[int, signal.Signals], dict[int, signal.Signals]]:
    services: dict[int, signal.Signals] = {}
    servers: dict[int, signal.Signals] = {}
    for pid in pids:
        kind = kinds.get(pid) or environment(pid).get(KIND_VARIABLE)
        if kind in _SERVERS:
            servers[pid] = _STOP_SIGNALS.get(kind, signal.SIGTERM)
        elif kind is not None:
            services[pid] = signal.SIGTERM
        # of any other, a server's child, its parent takes care, or SIGKILL at the end
    return services, servers


def terminate(pids: Iterable[int], within_s: float, number: signal.Signals = signal.SIGTERM) -> None:
    """Ask them to end, and wait until they are gone or the time is over."""
    wanted = dict.fromkeys(pids, number)
    _signal(wanted)
    _signal(dict.fromkeys(wanted, signal.SIGCONT))
    _wait_gone(set(wanted), time.monotonic() + within_s)


def _signal(wanted: dict[int, signal.Signals]) -> None:
    for pid, number in wanted.items():
        send(pid, number)


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process; one that is gone is fine. Another account's is left: who looks again finds it living."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def kill_all(find: Callable[[], set[int]], within_s: float = 2.0) -> set[int]:
    """SIGKILL what `find` finds, again and again until it finds nothing: something may have forked meanwhile.

    Returns what still lives when the time is over.
    """
    deadline = time.monotonic() + within_s
    while found := find():
        for pid in parents_first(found, process_table()):
            send(pid, signal.SIGKILL)
        _wait_gone(found, deadline)
        if time.monotonic() > deadline:
            return find()
    return set()


def parents_first(pids: Collection[int], table: Mapping[int, Process]) -> list[int]:
    """A parent that outlives its children by a moment may mend things: Postgres clears its memory and begins anew."""

    def depth(pid: int) -> int:
        for above in range(len(pids)):
            if pid not in table or table[pid].parent not in pids:
                return above
            pid = table[pid].parent
        return len(pids)

    return sorted(pids, key=depth)


def _wait_gone(pids: set[int], deadline: float) -> None:
    while pids := {pid for pid in pids if _lives(pid)}:
        if time.monotonic() > deadline:
            return
        time.sleep(_POLL_S)


def _lives(pid: int) -> bool:
    row = read_process(pid)
    return row is not None and row.lives
