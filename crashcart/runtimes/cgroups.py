"""What the kernel counts for a container, read from its control group (either version of them)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class CpuCount:
    """Since the container's start."""

    used_s: float
    throttled: int
    """Periods in which it wanted more than it was given."""


def cpu_count(pid: int) -> CpuCount:
    """Of the container whose process that is. FileNotFoundError where it is gone."""
    unified = _folder(pid, "")
    if unified is not None and (unified / "cpu.stat").exists():
        told = _pairs(unified / "cpu.stat")
        return CpuCount(told["usage_usec"] / 1e6, told.get("nr_throttled", 0))
    cpu, accounts = _folder(pid, "cpu"), _folder(pid, "cpuacct")
    if cpu is None or accounts is None:
        raise FileNotFoundError(f"process {pid} is in no control group that counts processor time")
    used_ns = int((accounts / "cpuacct.usage").read_text(encoding="ascii"))
    return CpuCount(used_ns / 1e9, _pairs(cpu / "cpu.stat")["nr_throttled"])


def killed_for_memory(pid: int) -> int:
    """How many of the container's processes the kernel has killed for want of memory. FileNotFoundError."""
    unified = _folder(pid, "")
    if unified is not None and (unified / "memory.events").exists():
        return _pairs(unified / "memory.events").get("oom_kill", 0)
    memory = _folder(pid, "memory")
    if memory is None:
        raise FileNotFoundError(f"process {pid} is in no control group that counts memory")
    return _pairs(memory / "memory.oom_control").get("oom_kill", 0)


def _folder(pid: int, controller: str) -> Path | None:
    """cgroups(7): lines of `id:controllers:path`; the unified hierarchy has no controllers there."""
    for line in (PROC / str(pid) / "cgroup").read_text(encoding="ascii").splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return ROOT / _mounted_as(names) / path.lstrip("/")
    return None


def _mounted_as(names: str) -> str:
    """`cpu,cpuacct` may be mounted under both names, or each alone; of the unified hierarchy there is no name."""
    if names and not (ROOT / names).is_dir():
        return names.split(",", maxsplit=1)[0]
    return names


def _pairs(path: Path) -> dict[str, int]:
    rows = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
