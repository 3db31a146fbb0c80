"""What the kernel counts for a container: in its control group (either version of them) and in its network."""

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


@dataclass(frozen=True, slots=True)
class IoCount:
    """Bytes since the container's start."""

    received: int
    sent: int
    """Over its networks, loopback left out."""
    read: int
    written: int
    """From and to disks: what memory served is not in it."""


def io_count(pid: int) -> IoCount | None:
    """Of the container whose process that is; None where it is gone, or shares this machine's network."""
    try:
        network = (PROC / str(pid) / "ns/net").readlink()
        if network == (PROC / "self/ns/net").readlink():
            return None
        return IoCount(*_network_bytes(pid), *_disk_bytes(pid))
    except OSError:
        return None


def _network_bytes(pid: int) -> tuple[int, int]:
    """proc_pid_net(5): two lines of headings; received bytes come first of 16 numbers, sent ones ninth."""
    received = sent = 0
    for line in (PROC / str(pid) / "net/dev").read_text(encoding="ascii").splitlines()[2:]:
        interface, _, numbers = line.partition(":")
        if interface.strip() != "lo":
            counts = [int(number) for number in numbers.split()]
            received, sent = received + counts[0], sent + counts[8]
    return received, sent


def _disk_bytes(pid: int) -> tuple[int, int]:
    """0 where nothing was counted: a group has a line for each disk once it has used it."""
    unified = _folder(pid, "")
    if unified is not None and (unified / "io.stat").exists():
        words = (unified / "io.stat").read_text(encoding="ascii").split()
        pairs = [word.partition("=") for word in words]
        read, written = (sum(int(value) for key, _, value in pairs if key == kind) for kind in ("rbytes", "wbytes"))
        return read, written
    counts = _folder(pid, "blkio")
    if counts is None:
        return 0, 0
    lines = (counts / "blkio.throttle.io_service_bytes").read_text(encoding="ascii").splitlines()
    rows = [line.split() for line in lines]
    read, written = (sum(int(row[2]) for row in rows if row[1:2] == [kind]) for kind in ("Read", "Write"))
    return read, written


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
