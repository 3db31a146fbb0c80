"""Disks of a service's own: mounted at boot, filled for real, emptied, and gone with the stack, whoever ends it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest

from crashcart.faults import decode_settings, registry
from crashcart.model.design import Service
from crashcart.model.errors import CrashcartError
from crashcart.model.fault import Step
from crashcart.model.plan import PlannedFault
from crashcart.runtimes.disks import FILLER, empty_disk, fill_disk, free_bytes, lacks_disks, own_disks
from crashcart.runtimes.ending import end_stack
from crashcart.runtimes.local import LocalRuntime
from crashcart.runtimes.local_stack import LocalStack
from crashcart.runtimes.readiness import ask
from crashcart.safety.worlds import DetachedWorld, StackWorld
from tests.contract.runtime.little_stack import (
    COMMAND,
    DATABASE,
    ask_database,
    boot,
    booted,
    design,
    nothing_is_left,
    until,
)

pytestmark = pytest.mark.skipif(bool(lacks_disks()), reason=lacks_disks())

DESIGN = design(
    {
        "door": Service(command=COMMAND, links=("notes-db",), entry=True),
        "notes-db": msgspec.structs.replace(DATABASE, disk_mib=192),
    },
    "own-disk",
)
KIND = registry()["disk/full"]


@pytest.fixture(scope="module")
def disk_stack(runtime: LocalRuntime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with booted(runtime, DESIGN, tmp_path_factory.mktemp("logs")) as stack:
        yield stack


def _folder(stack: LocalStack) -> Path:
    return Path(stack.topology.instance("notes-db[0]").data_dir)


def _planned(stack: LocalStack) -> tuple[PlannedFault, tuple[Step, ...]]:
    settings = decode_settings(KIND, {"service": "notes-db"})
    targets = KIND.targets(settings, DESIGN)
    planned = PlannedFault("f1", KIND.kind, {}, "", targets, (), (), 0.0, 10.0, KIND.effect(settings))
    return planned, KIND.steps(settings, planned, stack.topology)


def test_the_data_are_on_a_disk_of_the_declared_size(disk_stack: LocalStack) -> None:
    room = os.statvfs(_folder(disk_stack))
    assert room.f_blocks * room.f_frsize == 192 << 20
    assert _folder(disk_stack) in own_disks()
    assert _folder(disk_stack).stat().st_mode & 0o777 == 0o700
    door = Path(disk_stack.topology.instance("door[0]").data_dir)
    assert door not in own_disks()


def test_full_it_takes_no_write_and_emptied_the_database_takes_them_again(disk_stack: LocalStack) -> None:
    planned, (step,) = _planned(disk_stack)
    world = StackWorld(disk_stack)
    observer = KIND.observer(decode_settings(KIND, {"service": "notes-db"}), planned, disk_stack.topology)
    assert observer is not None
    address = disk_stack.database_address("notes-db")
    assert not observer.look().there
    KIND.apply(step, world)
    try:
        seen = observer.look()
        assert (seen.there, seen.value) == (True, 0.0)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            ask_database(address, "CREATE TABLE too_much AS SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
        until(lambda: observer.look().there)
    finally:
        for _ in range(2):
            KIND.undo(step, world)
    assert not observer.look().there
    assert ask_database(address, "SELECT 1") == 1
    ask_database(address, "CREATE TABLE enough AS SELECT 1 FROM generate_series(1, 100000)")
    assert ask_database(address, "SELECT count(*) FROM enough") == 100_000


def test_what_the_service_gives_up_is_taken_too(disk_stack: LocalStack) -> None:
    folder = _folder(disk_stack)
    ballast = folder / "ballast"
    ballast.write_bytes(b"\1" * (1 << 20))
    kept = fill_disk(folder)
    try:
        ballast.unlink()
        until(lambda: free_bytes(folder) == 0)
    finally:
        kept.close()
        empty_disk(folder)
    assert free_bytes(folder) > 1 << 20
    assert not (folder / FILLER).exists()


def test_the_watchdog_gives_the_room_back_while_the_harness_that_took_it_hangs(disk_stack: LocalStack) -> None:
    _, (step,) = _planned(disk_stack)
    code = """
import sys, time
from pathlib import Path
from crashcart.runtimes.disks import fill_disk
kept = fill_disk(Path(sys.argv[1]))
print("full", flush=True)
time.sleep(600)
"""
    argv = [sys.executable, "-c", code, str(_folder(disk_stack))]
    harness = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
    assert harness.stdout is not None
    try:
        assert harness.stdout.readline() == "full\n"
        harness.send_signal(signal.SIGSTOP)
        KIND.undo(step, DetachedWorld(disk_stack.topology))
        assert free_bytes(_folder(disk_stack)) > 0
        harness.send_signal(signal.SIGCONT)
        time.sleep(0.2)  # not to wait for something: it has this time to do wrong
        assert free_bytes(_folder(disk_stack)) > 0
    finally:
        harness.kill()
        harness.wait()
        harness.stdout.close()


def test_a_disk_of_the_machine_is_never_filled(tmp_path: Path) -> None:
    before = shutil.disk_usage(tmp_path).free
    with pytest.raises(CrashcartError, match="no disk of its own"):
        fill_disk(tmp_path)
    assert not (tmp_path / FILLER).exists()
    assert shutil.disk_usage(tmp_path).free > before / 2


def test_a_server_that_died_of_it_is_started_again_by_the_undo(disk_stack: LocalStack) -> None:
    _, (step,) = _planned(disk_stack)
    KIND.apply(step, StackWorld(disk_stack))
    leader = disk_stack.topology.instance("notes-db[0]").process
    assert leader is not None
    os.kill(leader.pid, signal.SIGQUIT)
    until(lambda: "notes-db[0]" in disk_stack.dead())
    KIND.undo(step, StackWorld(disk_stack))
    assert ask("postgres", disk_stack.topology.instance("notes-db[0]").address) == ""


@pytest.mark.parametrize("how", ["stopped", "by what was written down"])
def test_with_the_stack_its_disks_are_unmounted_full_or_not(runtime: LocalRuntime, tmp_path: Path, how: str) -> None:
    stack = boot(runtime, DESIGN, tmp_path / "logs")
    folder = _folder(stack)
    try:
        fill_disk(folder)
        if how == "by what was written down":
            end_stack(stack.topology.run_id, Path(stack.topology.state_dir))
            assert folder not in own_disks()
    finally:
        stack.stop()
    assert folder not in own_disks()
    assert nothing_is_left(stack.topology.run_id, stack.topology.state_dir)
