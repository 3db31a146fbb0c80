"""What is read of the kernel's books on a container, in both versions of control groups, and of echoes."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from crashcart.faults.network_loss import _within
from crashcart.runtimes import cgroups
from crashcart.runtimes.cgroups import CpuCount, IoCount, cpu_count, io_count, killed_for_memory
from crashcart.runtimes.echoes import checksum

PID = 4711


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of control groups, and a process table that says which of them a process is in: both the test's own."""
    monkeypatch.setattr(cgroups, "ROOT", tmp_path)
    monkeypatch.setattr(cgroups, "PROC", tmp_path / "proc")
    return tmp_path


def _inside(root: Path, lines: str) -> None:
    _write(root / f"proc/{PID}/cgroup", lines)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="ascii")


def test_of_the_unified_hierarchy_one_file_says_both(root: Path) -> None:
    _inside(root, "0::/docker/abc\n")
    _write(root / "docker/abc/cpu.stat", "usage_usec 1500000\nuser_usec 1\nnr_periods 9\nnr_throttled 7\n")
    _write(root / "docker/abc/memory.events", "low 0\nhigh 0\nmax 4\noom 2\noom_kill 3\n")
    assert cpu_count(PID) == CpuCount(1.5, 7)
    assert killed_for_memory(PID) == 3


def test_of_the_unified_hierarchy_without_a_limit_nothing_was_held_back(root: Path) -> None:
    _inside(root, "0::/docker/abc\n")
    _write(root / "docker/abc/cpu.stat", "usage_usec 20\n")
    assert cpu_count(PID) == CpuCount(0.00002, 0)


FIRST_VERSION = "9:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/docker/abc\n"


def test_of_the_first_version_each_controller_has_a_folder(root: Path) -> None:
    _inside(root, FIRST_VERSION)
    _write(root / "cpu,cpuacct/docker/abc/cpu.stat", "nr_periods 9\nnr_throttled 5\nthrottled_time 12\n")
    _write(root / "cpu,cpuacct/docker/abc/cpuacct.usage", "2500000000\n")
    _write(root / "memory/docker/abc/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    assert cpu_count(PID) == CpuCount(2.5, 5)
    assert killed_for_memory(PID) == 1


def test_of_the_first_version_controllers_may_be_mounted_each_alone(root: Path) -> None:
    _inside(root, "5:cpuacct:/docker/abc\n4:cpu:/docker/abc\n3:memory:/docker/abc\n")
    _write(root / "cpu/docker/abc/cpu.stat", "nr_throttled 5\n")
    _write(root / "cpuacct/docker/abc/cpuacct.usage", "1000000000\n")
    assert cpu_count(PID) == CpuCount(1.0, 5)


def test_who_is_in_no_group_that_counts_is_not_taken_for_one_that_used_nothing(root: Path) -> None:
    _inside(root, "1:name=systemd:/docker/abc\n")
    with pytest.raises(FileNotFoundError, match="in no control group that counts processor time"):
        cpu_count(PID)
    with pytest.raises(FileNotFoundError, match="in no control group that counts memory"):
        killed_for_memory(PID)


def test_of_a_process_that_is_gone_nothing_is_said(root: Path) -> None:
    assert root.is_dir()
    with pytest.raises(FileNotFoundError):
        cpu_count(PID)
    with pytest.raises(FileNotFoundError):
        killed_for_memory(PID)
    assert io_count(PID) is None


NETWORK = """\
Inter-|   Receive                                       |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo: 900 9 0 0 0 0 0 0 900 9 0 0 0 0 0 0
  eth0: 100 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0
  eth1: 11 1 0 0 0 0 0 0 3 1 0 0 0 0 0 0
"""


def _networked(root: Path, own: str) -> None:
    _write(root / f"proc/{PID}/net/dev", NETWORK)
    for process, network in ((str(PID), own), ("self", "net:[1]")):
        link = root / "proc" / process / "ns/net"
        link.parent.mkdir(parents=True)
        link.symlink_to(network)


def test_bytes_are_those_of_all_its_networks_and_disks_in_both_versions(root: Path) -> None:
    _networked(root, "net:[2]")
    _inside(root, "0::/docker/abc\n")
    _write(root / "docker/abc/io.stat", "8:0 rbytes=5 wbytes=7 rios=1 wios=1\n8:16 rbytes=50 wbytes=70 rios=1 wios=1\n")
    assert io_count(PID) == IoCount(111, 23, 55, 77)
    _inside(root, "3:blkio:/docker/abc\n0::/docker/abc\n")
    (root / "docker/abc/io.stat").unlink()
    counted = "8:0 Read 4\n8:0 Write 6\n8:0 Total 10\n8:16 Write 1\nTotal 11\n"
    _write(root / "blkio/docker/abc/blkio.throttle.io_service_bytes", counted)
    assert io_count(PID) == IoCount(111, 23, 4, 7)


def test_bytes_of_this_machines_own_network_are_nobodys(root: Path) -> None:
    _networked(root, "net:[1]")
    _inside(root, "0::/docker/abc\n")
    assert io_count(PID) is None


def test_the_checksum_is_the_one_of_rfc_1071() -> None:
    # the example of its section 3
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2
    assert checksum(b"") == 0xFFFF


@pytest.mark.parametrize("number", [0, 1, 513, 0xFFFF])
def test_a_message_with_its_checksum_in_it_sums_up_to_nothing(number: int) -> None:
    head = struct.pack("!BBHHH", 8, 0, 0, 4711, number)
    assert checksum(struct.pack("!BBHHH", 8, 0, checksum(head), 4711, number)) == 0


@pytest.mark.parametrize(
    ("lost", "asked", "share", "expected"),
    [
        (10, 100, 0.1, True),
        (21, 100, 0.1, True),
        (23, 100, 0.1, False),  # 4 deviations are 12
        (0, 20, 0.1, True),  # so few can't tell: `there` asks for one lost besides
        (0, 150, 0.1, False),
        (150, 150, 0.9, False),
        (75, 150, 0.5, True),
        (15, 150, 0.5, False),
    ],
)
def test_a_share_counts_as_the_declared_one_as_far_as_chance_goes(
    lost: int, asked: int, share: float, expected: bool
) -> None:
    assert _within(lost, asked, share) is expected
