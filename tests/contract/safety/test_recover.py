from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from crashcart.model.errors import ExitStatus, UsageError
from crashcart.processes import is_same_process, own_ref, processes_of_run
from crashcart.safety.active import ActiveRun, active_runs, read_active, register
from crashcart.safety.faultlog import open_steps, read_log
from crashcart.safety.recover import recover
from tests.contract.safety.conftest import StandIn
from tests.contract.safety.small_stack import SmallStack, broken, wait_until

Start = Callable[..., StandIn]


def _ignore(_: str) -> None:
    pass


def test_what_harness_and_watchdog_left_behind_is_mended_and_ended_and_only_once(stand_in: Start) -> None:
    harness = stand_in()
    harness.hears("injected all")
    harness.kill_watchdog()
    harness.kill()
    assert processes_of_run(harness.run_id)
    report = recover(_ignore)
    assert not processes_of_run(harness.run_id)
    assert not harness.state_dir.exists()
    assert open_steps(read_log(harness.faultlog)) == ()
    assert {record.by for record in read_log(harness.faultlog)} == {"harness", "recover"}
    assert report.exit_status == ExitStatus.PASS
    for fault in ("f1 toxiproxy/latency", "f2 toxiproxy/down", "f3 service/kill", "processes ended"):
        assert fault in str(report.done)
    again = recover(_ignore)
    assert (again.done, again.not_undone, again.left_alone) == ((), (), ())


def test_a_run_that_died_while_it_booted_is_ended(stand_in: Start) -> None:
    harness = stand_in()
    harness.hears("started toxiproxy")
    harness.kill_watchdog()
    harness.kill()
    assert recover(_ignore).exit_status == ExitStatus.PASS
    assert not processes_of_run(harness.run_id)


def test_a_fault_log_cut_short_by_the_crash_is_no_obstacle(stand_in: Start) -> None:
    harness = stand_in()
    harness.hears("injected all")
    harness.kill_watchdog()
    harness.kill()
    harness.faultlog.write_bytes(harness.faultlog.read_bytes()[:-30])
    assert recover(_ignore).exit_status == ExitStatus.PASS
    assert open_steps(read_log(harness.faultlog)) == ()


def test_a_spoiled_fault_log_is_reported_and_everything_is_ended_all_the_same(stand_in: Start) -> None:
    harness = stand_in()
    harness.hears("injected all")
    harness.kill_watchdog()
    harness.kill()
    harness.faultlog.write_bytes(b"spoiled\n" + harness.faultlog.read_bytes())
    report = recover(_ignore)
    assert report.exit_status == ExitStatus.NOT_UNDONE
    assert "faultlog.jsonl:1" in report.not_undone[0]
    assert not processes_of_run(harness.run_id)


def test_a_living_harness_is_left_alone(stand_in: Start) -> None:
    harness = stand_in()
    harness.hears("injected all")
    report = recover(_ignore)
    assert report.left_alone == (f"{harness.run_id}: its harness is alive (process {harness.process.pid})",)
    assert len(broken(harness.topology)) == 4
    assert harness.ask("report") == {"alive": True, "trouble": []}


def test_a_watchdog_at_work_is_waited_for(stand_in: Start) -> None:
    harness = stand_in()
    harness.hears("injected all")
    harness.kill()
    report = recover(_ignore)
    assert report.not_undone == ()
    assert "its watchdog has cleared it up" in str(report.done) or report.done == ()
    wait_until(lambda: not processes_of_run(harness.run_id) and read_active(harness.run_id) is None, 5.0)


def test_a_watchdog_that_was_stopped_is_not_waited_for_for_ever(stand_in: Start) -> None:
    harness = stand_in()
    harness.hears("injected all")
    watchdog = harness.watchdog
    os.kill(watchdog.pid, signal.SIGSTOP)
    harness.kill()
    report = recover(_ignore, watchdog_within_s=0.3)
    assert report.exit_status == ExitStatus.PASS
    assert not is_same_process(watchdog)
    assert not processes_of_run(harness.run_id)


def test_after_a_boot_nothing_is_undone_nothing_is_signalled_and_files_are_tidied(
    small_stack: SmallStack, tmp_path: Path
) -> None:
    """A reboot can't be had in a test: the record says another boot, the stack is there to be left alone."""
    run_id = small_stack.topology.run_id
    own = msgspec.structs.replace(own_ref(), boot_id="an earlier boot")
    folder = tmp_path / f"crashcart-{run_id}-old"
    folder.mkdir()
    register(ActiveRun(run_id, "an earlier boot", own, str(tmp_path / "none.jsonl"), str(tmp_path), own, str(folder)))
    report = recover(_ignore)
    assert "the machine has been booted since" in report.done[0]
    assert not folder.exists()
    assert active_runs() == ()
    assert broken(small_stack.topology) == []


def test_a_folder_that_is_not_the_runs_is_never_removed(tmp_path: Path) -> None:
    own = msgspec.structs.replace(own_ref(), started_ticks=1)
    photos = tmp_path / "photos"
    photos.mkdir()
    register(ActiveRun("run-x", own.boot_id, own, str(tmp_path / "none.jsonl"), str(tmp_path), None, str(photos)))
    report = recover(_ignore)
    assert report.exit_status == ExitStatus.NOT_UNDONE
    assert "photos was left" in report.not_undone[0]
    assert photos.exists()


def test_a_recording_that_was_deleted_is_no_obstacle(stand_in: Start) -> None:
    import shutil

    harness = stand_in()
    harness.hears("injected all")
    harness.kill_watchdog()
    harness.kill()
    shutil.rmtree(harness.recording)
    assert recover(_ignore).exit_status == ExitStatus.PASS
    assert not processes_of_run(harness.run_id)


def test_records_that_are_none_are_named_and_left(state_home: Path) -> None:
    (state_home / "active").mkdir(parents=True)
    (state_home / "active" / "odd.json").write_text("{}")
    report = recover(_ignore)
    assert "odd.json: not a record of a run" in report.left_alone[0]
    assert (state_home / "active" / "odd.json").exists()


def test_two_at_once_do_not_get_in_each_others_way(stand_in: Start, state_home: Path) -> None:
    import fcntl

    harness = stand_in()
    harness.hears("ready")
    with (state_home / "recover.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another `crashcart recover`"):
            recover(_ignore)
    recover(_ignore)
