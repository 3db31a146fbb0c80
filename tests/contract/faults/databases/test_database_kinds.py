"""Every fault on a real Postgres: done, seen by who looks from outside, and undone by whoever comes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crashcart.faults import registry
from crashcart.model.fault import Step
from crashcart.model.recording import FILES
from crashcart.ports import World
from crashcart.runtimes.local_stack import LocalStack
from crashcart.safety.faultlog import FaultLog, open_steps, read_log
from crashcart.safety.injector import Injector
from crashcart.safety.watchdog import Watchdog
from crashcart.safety.worlds import DetachedWorld, StackWorld
from tests.contract.faults.databases.doer import Deed, KeepingWorld
from tests.contract.faults.databases.rig import (
    ALL,
    EACH,
    LOCK,
    MakeFault,
    contents,
)
from tests.contract.safety.small_stack import wait_until


@pytest.mark.parametrize(("kind", "raw"), ALL)
def test_a_fault_is_seen_while_it_is_there_and_neither_before_nor_after(
    address: str, world: World, fault: MakeFault, kind: str, raw: dict[str, Any]
) -> None:
    one = fault(kind, raw)
    before = contents(address)
    assert [one.is_there() for _ in range(3)] == [False] * 3
    one.do(world)
    assert [one.is_there() for _ in range(3)] == [True] * 3
    one.undo(world)
    assert [one.is_there() for _ in range(3)] == [False] * 3
    assert contents(address) == before


@pytest.mark.parametrize(("kind", "raw"), ALL)
def test_who_knows_the_step_alone_undoes_it_and_may_do_so_twice(
    stack: LocalStack, address: str, world: StackWorld, fault: MakeFault, kind: str, raw: dict[str, Any]
) -> None:
    one = fault(kind, raw)
    before = contents(address)
    one.do(world)
    other = DetachedWorld(stack.topology)
    for _ in range(2):
        one.undo(other)
        assert not one.is_there()
    assert contents(address) == before
    one.undo(world)
    assert contents(address) == before


@pytest.mark.parametrize(("kind", "raw"), EACH)
def test_when_the_harness_is_killed_what_it_did_goes_with_it_or_is_undone_from_the_step(
    stack: LocalStack, address: str, fault: MakeFault, kind: str, raw: dict[str, Any]
) -> None:
    one = fault(kind, raw)
    before = contents(address)
    assert not one.is_there()
    deed = msgspec.json.encode(Deed(stack.topology, one.steps))
    harness = subprocess.Popen(
        [sys.executable, "-m", "tests.contract.faults.databases.doer"],
        cwd=Path(__file__).parents[4],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert harness.stdin is not None
    assert harness.stdout is not None
    try:
        harness.stdin.write(deed)
        harness.stdin.close()
        assert harness.stdout.readline() == b"done\n"
        assert one.is_there()
    finally:
        harness.kill()
        harness.wait()
        harness.stdout.close()
    if kind in ("database/lock", "database/connections"):
        wait_until(lambda: not one.is_there())
    else:
        assert one.is_there()
    one.undo(DetachedWorld(stack.topology))
    assert not one.is_there()
    assert contents(address) == before


@pytest.mark.parametrize(("kind", "raw"), EACH)
def test_while_the_harness_hangs_the_watchdog_undoes_it(
    stack: LocalStack,
    address: str,
    world: World,
    fault: MakeFault,
    kind: str,
    raw: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    one = fault(kind, raw)
    before = contents(address)
    assert not one.is_there()
    # of a run of its own: released, a watchdog ends all that its run has left running
    watchdog = Watchdog.start(f"{stack.topology.run_id}-watched", tmp_path, silence_s=0.3)
    try:
        watchdog.watch(stack.topology)
        log = tmp_path / FILES["faultlog"]
        injector = Injector(FaultLog(log), world, registry())
        watchdog.beat()
        injector.inject(one.planned, stack.topology, time.monotonic() + 60)
        # and no more of a heartbeat
        wait_until(lambda: open_steps(read_log(log)) == ())
        assert not one.is_there()
        assert {record.by for record in read_log(log) if record.op == "undone"} == {"watchdog"}
        injector.undo("f1")
        assert not one.is_there()
    finally:
        watchdog.release()
    assert contents(address) == before


@pytest.mark.parametrize(("kind", "raw"), EACH)
def test_what_was_never_done_is_undone_without_a_trace(
    stack: LocalStack, address: str, fault: MakeFault, kind: str, raw: dict[str, Any]
) -> None:
    before = contents(address)
    fault(kind, raw).undo(DetachedWorld(stack.topology))
    assert contents(address) == before


@pytest.mark.parametrize(("kind", "raw"), EACH)
def test_steps_are_plain_data_that_survives_a_log(
    address: str, world: World, fault: MakeFault, kind: str, raw: dict[str, Any]
) -> None:
    one = fault(kind, raw)
    read = msgspec.json.decode(msgspec.json.encode(one.steps), type=tuple[Step, ...])
    assert msgspec.json.encode(read) == msgspec.json.encode(one.steps)
    one.steps = read
    assert not one.is_there()
    one.do(world)
    assert one.is_there()
    one.undo(world)
    assert not one.is_there()


def test_kept_sessions_are_found_by_name_and_others_left_alone(
    stack: LocalStack, address: str, fault: MakeFault
) -> None:
    one, other = fault("database/lock", LOCK), fault("database/lock", {**LOCK, "table": "notes"}, "f2")
    world = KeepingWorld(stack.topology)
    one.do(world)
    other.do(world)
    one.undo(DetachedWorld(stack.topology))
    assert not one.is_there()
    assert other.is_there()
    other.undo(world)
    one.undo(world)
