"""Which processes belong to what, and the CPU they used, as /proc tells it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_GONE = frozenset("ZXx")


@dataclass(frozen=True, slots=True)
class Process:
    """One row of the process table."""

    pid: int
    name: str
    state: str
    parent: int
    group: int
    session: int
    cpu_s: float
    """User and system, with the children it has waited for."""

    @property
    def lives(self) -> bool:
        """False for a zombie."""
        return self.state not in _GONE


def process_table() -> dict[int, Process]:
    """Every process of this machine, by pid."""
    rows = (read_process(int(entry.name)) for entry in os.scandir("/proc") if entry.name.isdigit())
    return {row.pid: row for row in rows if row is not None}


def read_process(pid: int) -> Process | None:
    """One row; None where there is no such process. A zombie has one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # proc_pid_stat(5): the name, in parentheses, may hold anything; fields count from the last parenthesis
    closing = stat.rindex(")")
    name, fields = stat[stat.index("(") + 1 : closing], stat[closing + 2 :].split()
    ticks = sum(int(field) for field in fields[11:15])
    return Process(pid, name, fields[0], int(fields[1]), int(fields[2]), int(fields[3]), ticks * _TICK_S)


def resident_mib(pid: int) -> float:
    """Memory that it holds; 0 where there is no such process."""
    return _resident_and_shared_mib(pid)[0]


def private_mib(pid: int) -> float:
    """The same without files and what it may share with others: what a leak makes grow."""
    resident, shared = _resident_and_shared_mib(pid)
    return resident - shared


def _resident_and_shared_mib(pid: int) -> tuple[float, float]:
    try:
        fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0.0, 0.0
    return int(fields[1]) * _PAGE / (1 << 20), int(fields[2]) * _PAGE / (1 << 20)


def family(leaders: Iterable[int], table: Mapping[int, Process]) -> set[int]:
    """The leaders, their groups and sessions, and all descendants: Postgres's backends have sessions of their own."""
    found = set(leaders)
    found |= {row.pid for row in table.values() if row.group in found or row.session in found}
    children: dict[int, list[int]] = {}
    for row in table.values():
        children.setdefault(row.parent, []).append(row.pid)
    waiting = list(found)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def environment(pid: int) -> dict[str, str]:
    """What the process was started with; empty where it can't be read (gone, somebody else's) or was overwritten."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (entry.partition(b"=") for entry in raw.split(b"\0") if b"=" in entry)
    return {os.fsdecode(key): os.fsdecode(value) for key, _, value in pairs}


def working_folder(pid: int) -> str:
    """Its current folder; empty where it can't be read."""
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""
