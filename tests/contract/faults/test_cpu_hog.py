"""A service is stopped and continued in slices; whoever of those who do it dies, it is not left stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crashcart.faults import decode_settings, registry
from crashcart.model.errors import CrashcartError
from crashcart.ports import Observer
from crashcart.processes import RUN_VARIABLE, processes_of_run
from crashcart.runtimes.hogging import RunningHog, start_hog
from crashcart.runtimes.procfs import environment, process_table, read_process
from crashcart.runtimes.spec import INSTANCE_VARIABLE
from crashcart.runtimes.stateshare import StoppedShare
from crashcart.runtimes.stopping import hog_name, resume
from crashcart.runtimes.topology_file import load_topology
from crashcart.safety.faultlog import FaultLog
from crashcart.safety.injector import Injector
from crashcart.safety.worlds import DetachedWorld
from tests.contract.safety.small_stack import SmallStack, answers, planned, wait_until

SHOP = "shop[0]"


def _hogs(stack: SmallStack) -> list[int]:
    """The hog and its guard, the hog first."""
    wanted = {RUN_VARIABLE: stack.topology.run_id, INSTANCE_VARIABLE: hog_name(SHOP)}
    rows = [row for row in process_table().values() if row.lives and wanted.items() <= environment(row.pid).items()]
    pids = {row.pid for row in rows}
    return [row.pid for row in sorted(rows, key=lambda row: row.parent in pids)]


def _runs_on(stack: SmallStack) -> bool:
    """Nobody hogs it, it is not stopped, and it answers."""
    process = stack.topology.instance(SHOP).process
    assert process is not None
    row = read_process(process.pid)
    return not _hogs(stack) and row is not None and row.state != "T" and answers(stack.topology.instance(SHOP).address)


@pytest.fixture
def hog(small_stack: SmallStack) -> Iterator[RunningHog]:
    running = start_hog(small_stack.topology, SHOP, 0.95)
    yield running
    running.close()


def _seen(observer: Observer) -> float:
    value = observer.look().value
    assert value is not None
    return value


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_the_declared_share_is_seen_in_the_process_table_while_it_lasts_and_not_after(
    small_stack: SmallStack, tmp_path: Path, share: float
) -> None:
    settings = {"service": SHOP, "share": share}
    fault = planned("service/cpu-hog", settings)
    kind = registry()["service/cpu-hog"]
    observer = kind.observer(decode_settings(kind, settings), fault, small_stack.topology)
    assert observer is not None
    injector = Injector(FaultLog(tmp_path / "log"), small_stack, registry())
    try:
        assert _seen(observer) == 0.0
        injector.inject(fault, small_stack.topology, time.monotonic() + 60)
        wait_until(lambda: abs(_seen(observer) - share) <= 0.1)
        injector.undo(fault.id)
        assert _runs_on(small_stack)
        wait_until(lambda: _seen(observer) == 0.0)
    finally:
        observer.close()


def test_only_the_service_that_is_meant_is_slowed(small_stack: SmallStack, hog: RunningHog) -> None:
    other = StoppedShare(small_stack.topology, ["shop[1]"], 0.95, 0.1)
    meant = StoppedShare(small_stack.topology, [SHOP], 0.95, 0.1)
    try:
        wait_until(lambda: meant.look().there)
        assert other.look().value == 0.0
    finally:
        other.close()
        meant.close()


def test_let_go_it_ends_and_everything_runs(small_stack: SmallStack, hog: RunningHog) -> None:
    hog.close()
    wait_until(lambda: _runs_on(small_stack))
    hog.close()


@pytest.mark.parametrize("who", [0, 1], ids=["the hog", "its guard"])
@pytest.mark.parametrize("attempt", range(3))
def test_whoever_of_the_two_is_killed_the_other_lets_everything_run(
    small_stack: SmallStack, hog: RunningHog, who: int, attempt: int
) -> None:
    os.kill(_hogs(small_stack)[who], signal.SIGKILL)
    wait_until(lambda: _runs_on(small_stack))


def test_both_killed_the_undo_lets_everything_run(small_stack: SmallStack, hog: RunningHog) -> None:
    for pid in reversed(_hogs(small_stack)):
        os.kill(pid, signal.SIGKILL)
    resume(small_stack.topology, SHOP)
    assert _runs_on(small_stack)


def test_the_watchdog_ends_the_hog_of_a_harness_that_hangs(small_stack: SmallStack, hog: RunningHog) -> None:
    DetachedWorld(small_stack.topology).resume(SHOP)
    assert _runs_on(small_stack)


def test_a_hog_whose_harness_dies_lets_everything_run(small_stack: SmallStack) -> None:
    harness = """
import sys, time
from crashcart.runtimes.hogging import start_hog
from crashcart.runtimes.topology_file import load_topology
hog = start_hog(load_topology(sys.argv[1]), "shop[0]", 0.95)
print("hogging", flush=True)
time.sleep(600)
"""
    assert load_topology(small_stack.state_dir) == small_stack.topology
    argv = [sys.executable, "-c", harness, str(small_stack.state_dir)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "hogging\n"
        assert len(_hogs(small_stack)) == 2
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    wait_until(lambda: _runs_on(small_stack))


def test_one_that_can_not_start_leaves_nothing_stopped(
    small_stack: SmallStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CrashcartError, match="did not start"):
        start_hog(small_stack.topology, SHOP, 0.5)
    assert _runs_on(small_stack)


def test_a_stack_that_is_hogged_ends_with_the_hog(small_stack: SmallStack, hog: RunningHog) -> None:
    small_stack.stop()
    assert not processes_of_run(small_stack.topology.run_id)
