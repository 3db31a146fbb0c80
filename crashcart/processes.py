"""Which process is which: by pid, start time and boot, so that a pid used again is never taken for ours."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from crashcart.model.topology import ProcessRef

RUN_VARIABLE = "CRASHCART_RUN_ID"
"""In the environment of every process that belongs to a run, from its start."""

_GONE = frozenset("ZXx")
_STOPPED = frozenset("Tt")


@dataclass(frozen=True, slots=True)
class _Stat:
    """What we need of /proc/pid/stat."""

    name: str
    state: str
    parent: int
    group: int
    started_ticks: int


@lru_cache(maxsize=1)
def boot_id() -> str:
    """The kernel's name for this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def process_ref(pid: int) -> ProcessRef | None:
    """The process that has this pid now; None where there is none (a zombie is none)."""
    stat = _stat(pid)
    if stat is None or stat.state in _GONE:
        return None
    return ProcessRef(pid, stat.started_ticks, boot_id())


def own_ref() -> ProcessRef:
    """This process."""
    ref = process_ref(os.getpid())
    assert ref is not None, "a process that runs is in /proc"
    return ref


def is_same_process(ref: ProcessRef) -> bool:
    """Whether the very process that was meant still lives. A zombie does not, a stopped one does."""
    return process_ref(ref.pid) == ref


def is_stopped(ref: ProcessRef) -> bool:
    """Whether it lives but is stopped (SIGSTOP, Ctrl-Z, a debugger)."""
    stat = _stat(ref.pid)
    return stat is not None and stat.state in _STOPPED and is_same_process(ref)


def name_of(ref: ProcessRef) -> str:
    """The name of its program, at most 15 characters; "" when it is gone."""
    stat = _stat(ref.pid)
    return stat.name if stat is not None and is_same_process(ref) else ""


def run_of(pid: int) -> str | None:
    """The run in that process's environment as it was started with; None where there is none or it can't be read."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # gone meanwhile, or somebody else's
        return None
    prefix = f"{RUN_VARIABLE}=".encode()
    for entry in environment.split(b"\0"):
        if entry.startswith(prefix):
            return entry[len(prefix) :].decode(errors="replace")
    return None


def processes_of_run(run_id: str, known: Iterable[ProcessRef] = ()) -> frozenset[ProcessRef]:
    """Every living process that provably belongs to the run; never this one.

    Those with the run in their environment, those `known` to have been started for it, members of the groups that
    these lead, and the descendants of all of them: a program that writes a title over its environment (Postgres's
    children do) is found by its parents.
    """
    everything = _everything()
    known = [ref for ref in known if ref.boot_id == boot_id()]
    roots = {pid for pid in everything if run_of(pid) == run_id}
    roots |= {ref.pid for ref in known if _matches(everything.get(ref.pid), ref)}
    # a group whose leader is gone could be anybody's by now
    groups = roots & {ref.pid for ref in known}
    roots |= {pid for pid, stat in everything.items() if stat.group in groups}
    ours = _with_descendants(roots, everything) - {os.getpid()}
    return frozenset(
        ProcessRef(pid, everything[pid].started_ticks, boot_id()) for pid in ours if everything[pid].state not in _GONE
    )


def _matches(stat: _Stat | None, ref: ProcessRef) -> bool:
    return stat is not None and stat.started_ticks == ref.started_ticks


def _with_descendants(roots: set[int], everything: dict[int, _Stat]) -> set[int]:
    found = set(roots)
    added = found
    while added:
        added = {pid for pid, stat in everything.items() if stat.parent in added and pid not in found}
        found |= added
    return found


def _everything() -> dict[int, _Stat]:
    pids = [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]
    return {pid: stat for pid in pids if (stat := _stat(pid)) is not None}


def _stat(pid: int) -> _Stat | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # proc_pid_stat(5): the name, in parentheses, may hold spaces and parentheses: fields count from the last one
    name = stat[stat.index("(") + 1 : stat.rindex(")")]
    fields = stat[stat.rindex(")") + 2 :].split()
    return _Stat(name, fields[0], int(fields[1]), int(fields[2]), int(fields[19]))
