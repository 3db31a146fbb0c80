"""Instances that are stopped, continued and ended: real processes, and a Postgres whose children live on their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from crashcart.model.errors import BootError, CrashcartError
from crashcart.runtimes.ending import end_stack
from crashcart.runtimes.local import LocalRuntime
from crashcart.runtimes.local_stack import LocalStack
from crashcart.runtimes.procfs import read_process
from crashcart.runtimes.readiness import ask
from crashcart.runtimes.stopping import pause, pids_of, resume
from crashcart.safety.worlds import DetachedWorld, EndingWorld, StackWorld
from tests.contract.freezing import freeze
from tests.contract.runtime.little_stack import booted, get, little_design, lone_design, nothing_is_left, until


def _states(stack: LocalStack, instance: str) -> set[str]:
    rows = [read_process(pid) for pid in pids_of(stack.topology, instance)]
    return {"T" if row.state == "T" else "runs" for row in rows if row is not None}


def test_a_paused_service_takes_connections_and_answers_nobody_until_it_is_continued(stack: LocalStack) -> None:
    address = stack.topology.instance("helper[1]").address
    pause(stack.topology, "helper[1]")
    try:
        assert _states(stack, "helper[1]") == {"T"}
        assert "no answer" in ask("process", address, timeout_s=0.3)
        assert _states(stack, "helper[0]") == {"runs"}
        assert stack.dead() == {}
    finally:
        resume(stack.topology, "helper[1]")
    assert _states(stack, "helper[1]") == {"runs"}
    until(lambda: ask("process", address) == "")
    resume(stack.topology, "helper[1]")


def test_of_a_paused_database_every_backend_is_stopped_too(stack: LocalStack) -> None:
    async def held() -> None:
        connection = await asyncpg.connect(stack.database_address("notes-db"), timeout=10)
        try:
            pause(stack.topology, "notes-db[0]")
            assert len(pids_of(stack.topology, "notes-db[0]")) > 2
            assert _states(stack, "notes-db[0]") == {"T"}
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(connection.fetchval("SELECT 1"), 0.3)
        finally:
            resume(stack.topology, "notes-db[0]")
            connection.terminate()

    asyncio.run(held())
    until(lambda: ask("postgres", stack.topology.instance("notes-db[0]").address) == "")


def test_what_died_can_not_be_paused_and_need_not_be_continued(stack: LocalStack) -> None:
    stack.kill("helper[0]")
    try:
        with pytest.raises(CrashcartError, match="there is no process to stop"):
            pause(stack.topology, "helper[0]")
        resume(stack.topology, "helper[0]")
    finally:
        stack.start_again("helper[0]", ready_within_s=20)


@pytest.mark.parametrize("instance", ["door[0]", "notes-db[0]", "store[0]"])
def test_what_is_asked_to_end_ends_in_good_order_and_comes_back(stack: LocalStack, instance: str) -> None:
    found = stack.topology.instance(instance)
    stack.terminate(instance, drain_s=8.0)
    assert pids_of(stack.topology, instance) == set()
    assert stack.dead() == {}
    stack.terminate(instance, drain_s=8.0)
    stack.start_again(instance, ready_within_s=20)
    assert ask(found.kind, found.address) == ""


def test_what_does_not_end_when_it_is_asked_is_killed(runtime: LocalRuntime, tmp_path: Path) -> None:
    with booted(runtime, lone_design({"DEAF": "1"}), tmp_path / "logs") as stack:
        stack.terminate("door[0]", drain_s=0.2)
        assert pids_of(stack.topology, "door[0]") == set()


def test_a_stack_with_stopped_processes_ends_as_quickly_as_any(runtime: LocalRuntime, tmp_path: Path) -> None:
    with booted(runtime, little_design(), tmp_path / "logs") as stack:
        for instance in ("door[0]", "notes-db[0]", "store[0]"):
            pause(stack.topology, instance)
        end_stack(stack.topology.run_id, Path(stack.topology.state_dir))
        assert nothing_is_left(stack.topology.run_id, stack.topology.state_dir)


@pytest.mark.parametrize("world_of", [StackWorld, lambda stack: DetachedWorld(stack.topology)])
def test_harness_and_watchdog_pause_resume_and_end_alike(
    stack: LocalStack, world_of: Callable[[LocalStack], StackWorld | DetachedWorld]
) -> None:
    world = world_of(stack)
    world.pause("helper[1]")
    assert _states(stack, "helper[1]") == {"T"}
    world.resume("helper[1]")
    assert _states(stack, "helper[1]") == {"runs"}
    EndingWorld(stack.topology).resume("helper[1]")


def test_the_watchdog_says_that_a_service_is_back_only_when_it_answers(stack: LocalStack) -> None:
    world = DetachedWorld(stack.topology)
    stack.kill("helper[1]")
    world.start_again("helper[1]")
    address = stack.topology.instance("helper[1]").address
    assert get(address)
    world.terminate("helper[1]", 5.0)
    assert pids_of(stack.topology, "helper[1]") == set()
    stack.start_again("helper[1]", ready_within_s=20)


def test_the_watchdog_says_so_when_a_service_dies_again(runtime: LocalRuntime, tmp_path: Path) -> None:
    with booted(runtime, lone_design(), tmp_path / "logs") as stack:
        found = stack.topology.instance("door[0]")
        stack.kill("door[0]")
        spec = Path(found.spec_file)
        spec.write_text(spec.read_text().replace("little.py", "gone.py"))
        with pytest.raises(BootError, match="was started again and died"):
            DetachedWorld(stack.topology).start_again("door[0]")


def test_a_stopped_service_hears_that_it_is_to_end(stack: LocalStack) -> None:
    leader = stack.topology.instance("store[0]").process
    assert leader is not None
    freeze(leader.pid)
    stack.terminate("store[0]", drain_s=8.0)
    stack.start_again("store[0]", ready_within_s=20)
