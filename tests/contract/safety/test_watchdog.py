from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from crashcart.processes import is_same_process, is_stopped, processes_of_run
from crashcart.safety.active import read_active
from crashcart.safety.faultlog import open_steps, read_log
from crashcart.safety.watchdog import STOPPED
from tests.contract.freezing import freeze
from tests.contract.safety.conftest import StandIn
from tests.contract.safety.small_stack import broken, wait_until

PROMISED_S = 5.0

Start = Callable[..., StandIn]


def _nothing_is_left(harness: StandIn) -> bool:
    return not processes_of_run(harness.run_id) and read_active(harness.run_id) is None


def _undone_by_watchdog(harness: StandIn) -> set[str]:
    records = read_log(harness.faultlog)
    return {record.fault for record in records if (record.op, record.by) == ("undone", "watchdog")}


@pytest.mark.parametrize("seed", range(8))
def test_within_five_seconds_of_a_harness_killed_at_any_moment_nothing_is_left_of_its_run(
    stand_in: Start, seed: int
) -> None:
    stream = random.Random(seed)
    harness = stand_in(loop=True)
    for _ in range(stream.randint(1, 20)):
        harness.hears()
    time.sleep(stream.uniform(0, 0.05))  # not to wait for something: to hit any moment between two lines
    harness.kill()
    wait_until(lambda: _nothing_is_left(harness), PROMISED_S)
    assert open_steps(read_log(harness.faultlog)) == ()
    assert not harness.state_dir.exists()


def test_a_harness_killed_with_a_control_plane_that_hangs_leaves_nothing_either(stand_in: Start) -> None:
    harness = stand_in()
    harness.hears("injected all")
    proxy = harness.topology.instance("toxiproxy").process
    assert proxy is not None
    freeze(proxy.pid)
    harness.kill()
    wait_until(lambda: _nothing_is_left(harness), PROMISED_S)
    assert open_steps(read_log(harness.faultlog)) == ()


def test_a_harness_that_hangs_has_its_faults_undone_and_is_told_when_it_wakes(stand_in: Start) -> None:
    harness = stand_in()
    harness.hears("injected all")
    assert len(broken(harness.topology)) == 4
    harness.signal(signal.SIGSTOP)
    wait_until(lambda: not broken(harness.topology), PROMISED_S)
    assert processes_of_run(harness.run_id)
    # a service that answers is looked at once more before it is called undone
    wait_until(lambda: _undone_by_watchdog(harness) == {"f1", "f2", "f3"}, PROMISED_S)
    harness.signal(signal.SIGCONT)
    wait_until(lambda: all(fault in str(harness.ask("report")["trouble"]) for fault in ("f1", "f2", "f3")))
    told = harness.ask("report")
    assert told["alive"] is False
    assert "not been heard of" in told["trouble"][0]
    assert harness.ask("leave") == {"not_undone": []}
    assert harness.process.wait() == 0
    assert _nothing_is_left(harness)


def test_a_harness_that_hangs_for_too_long_has_its_run_ended(stand_in: Start) -> None:
    harness = stand_in(hang_limit_s=3.0)
    harness.hears("injected all")
    harness.signal(signal.SIGSTOP)
    wait_until(lambda: _nothing_is_left(harness), 3.0 + PROMISED_S)
    harness.signal(signal.SIGCONT)
    assert "hung" in str(harness.ask("report")["trouble"])


def test_a_fault_that_outlives_its_expiry_is_undone_while_the_harness_lives(stand_in: Start) -> None:
    harness = stand_in(expires_in_s=1.5)
    harness.hears("injected all")
    wait_until(lambda: not broken(harness.topology), PROMISED_S + 1.5)
    wait_until(lambda: harness.ask("report")["alive"] is False)
    assert "its time was over" in str(harness.ask("report")["trouble"])
    assert processes_of_run(harness.run_id)


def test_a_harness_that_leaves_well_leaves_no_watchdog_and_no_record(stand_in: Start) -> None:
    harness = stand_in()
    harness.hears("injected all")
    watchdog = harness.watchdog
    assert harness.ask("report") == {"alive": True, "trouble": []}
    assert harness.ask("leave") == {"not_undone": []}
    assert harness.process.wait() == 0
    assert not is_same_process(watchdog)
    assert _nothing_is_left(harness)
    assert open_steps(read_log(harness.faultlog)) == ()
    assert {record.by for record in read_log(harness.faultlog)} == {"harness"}


def test_a_harness_killed_while_its_watchdog_leaves_leaves_no_record(stand_in: Start) -> None:
    harness = stand_in()
    harness.hears("injected all")
    watchdog = harness.watchdog
    freeze(watchdog.pid)  # it is told to go, and does not yet
    assert harness.process.stdin is not None
    harness.process.stdin.write("leave\n")
    harness.process.stdin.flush()
    wait_until(lambda: read_active(harness.run_id) is None, PROMISED_S)
    assert harness.process.poll() is None, "it waits for its watchdog"
    harness.kill()
    os.kill(watchdog.pid, signal.SIGCONT)
    wait_until(lambda: not is_same_process(watchdog), PROMISED_S)
    assert _nothing_is_left(harness)
    assert open_steps(read_log(harness.faultlog)) == ()


def test_what_a_harness_that_leaves_has_not_ended_is_ended_before_it_is_gone(stand_in: Start) -> None:
    harness = stand_in()
    harness.hears("injected all")
    harness.ask("forget")
    assert _nothing_is_left(harness)
    assert harness.process.wait() == 0
    assert open_steps(read_log(harness.faultlog)) == ()
    assert not harness.state_dir.exists()


def test_what_ends_a_terminals_programs_does_not_end_the_watchdog(stand_in: Start) -> None:
    harness = stand_in()
    harness.hears("injected all")
    watchdog = harness.watchdog
    assert os.getsid(watchdog.pid) == watchdog.pid
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        os.kill(watchdog.pid, number)
    harness.kill()
    wait_until(lambda: _nothing_is_left(harness), PROMISED_S)


def test_a_watchdog_that_dies_is_noticed_by_its_harness(stand_in: Start) -> None:
    harness = stand_in()
    harness.hears("injected all")
    watchdog = harness.watchdog
    harness.kill_watchdog()
    wait_until(lambda: not is_same_process(watchdog))
    assert harness.ask("report") == {"alive": False, "trouble": ["the watchdog has ended with status -9"]}
    assert harness.ask("leave") == {"not_undone": []}
    assert _nothing_is_left(harness)


def test_a_watchdog_that_was_stopped_is_noticed_by_its_harness_and_does_not_outlive_it(stand_in: Start) -> None:
    harness = stand_in()
    harness.hears("injected all")
    watchdog = harness.watchdog
    os.kill(watchdog.pid, signal.SIGSTOP)
    wait_until(lambda: is_stopped(watchdog))
    assert harness.ask("report") == {"alive": False, "trouble": [STOPPED]}
    assert harness.ask("leave") == {"not_undone": []}
    wait_until(lambda: _nothing_is_left(harness), 15.0)
    assert not is_same_process(watchdog)


def test_its_own_process_belongs_to_no_run(stand_in: Start, tmp_path: Path) -> None:
    harness = stand_in()
    harness.hears("ready")
    assert harness.watchdog not in processes_of_run(harness.run_id)
