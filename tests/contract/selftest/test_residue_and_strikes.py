"""What is left of a run is seen, whatever it is; and a signal meets the very process that is meant."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crashcart.model.fault import Step
from crashcart.model.topology import ProcessRef
from crashcart.processes import RUN_VARIABLE, boot_id, is_stopped, own_ref, process_ref
from crashcart.safety.active import ActiveRun, forget, register
from crashcart.safety.faultlog import FaultLog, OpenStep
from crashcart.selftest.launching import Started, TooLong
from crashcart.selftest.residue import wait_until_clean, what_is_left
from crashcart.selftest.striking import HARNESS, KILL, LOAD, STOP, Scene, Strike, carry_out_strike, send

RUN = "20260101T000000Z-5e1f"


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "runs" / "tried" / RUN
    folder.mkdir(parents=True)
    return folder


@contextmanager
def _sleeping(environment: dict[str, str]) -> Iterator[ProcessRef]:
    argv = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"]
    with subprocess.Popen(argv, env={**os.environ, **environment}, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            ref = process_ref(process.pid)
            assert ref is not None
            yield ref
        finally:
            process.kill()


def test_where_nothing_is_left_it_is_clean_at_once(recording: Path, tmp_path: Path) -> None:
    residue = wait_until_clean(recording, str(tmp_path), frozenset(), 1.0)
    assert residue.left == ()
    assert residue.clean_after_s is not None
    assert residue.clean_after_s < 0.5


def test_a_process_of_the_run_is_residue(recording: Path, tmp_path: Path) -> None:
    with _sleeping({RUN_VARIABLE: RUN}) as ref:
        residue = wait_until_clean(recording, str(tmp_path), frozenset(), 0.1)
        assert residue.clean_after_s is None
        assert [f"process {ref.pid}" in what for what in residue.left] == [True]
    assert what_is_left(recording, str(tmp_path), frozenset()) == ()


def test_a_process_that_only_its_run_knew_is_residue(recording: Path, tmp_path: Path) -> None:
    with _sleeping({}) as ref:
        assert what_is_left(recording, str(tmp_path), frozenset({ref}))
        assert what_is_left(recording, str(tmp_path), frozenset()) == ()


def test_a_record_a_folder_and_an_open_fault_are_residue(recording: Path, tmp_path: Path) -> None:
    register(ActiveRun(RUN, boot_id(), own_ref(), faultlog="", recording=str(recording)))
    (tmp_path / f"crashcart-{RUN}").mkdir()
    with FaultLog(recording / "faultlog.jsonl") as log:
        step = OpenStep("f1", Step("toxiproxy/down", "door[0].shelf[0]", {}), 0.0, boot_id())
        log.note("will-inject", step)
        left = what_is_left(recording, str(tmp_path), frozenset())
        assert len(left) == 3, left
        log.note("undone", step)
    (tmp_path / f"crashcart-{RUN}").rmdir()
    forget(RUN)
    assert what_is_left(recording, str(tmp_path), frozenset()) == ()


def test_a_fault_log_that_can_not_be_read_is_not_clean(recording: Path, tmp_path: Path) -> None:
    (recording / "faultlog.jsonl").write_bytes(b"spoilt\n{}\n")
    assert what_is_left(recording, str(tmp_path), frozenset())


def test_a_signal_meets_the_very_process_and_nobody_who_has_its_number() -> None:
    with _sleeping({}) as ref:
        send(ref, signal.SIGSTOP)
        until = time.monotonic() + 5
        while not is_stopped(ref) and time.monotonic() < until:
            time.sleep(0.01)
        assert is_stopped(ref)
        send(ref, signal.SIGCONT)
        send(ProcessRef(ref.pid, ref.started_ticks + 1, ref.boot_id), signal.SIGKILL)
        assert process_ref(ref.pid) == ref


@contextmanager
def _going_on(folder: Path) -> Iterator[Started]:
    argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(argv) as process:
        try:
            yield Started(process, folder)
        finally:
            process.kill()


def test_a_harness_is_killed_at_its_moment(tmp_path: Path) -> None:
    with _going_on(tmp_path) as run:
        hit = carry_out_strike(Scene(run), Strike(HARNESS, KILL, at_s=0.4))
        assert hit is not None
        assert 0.4 <= hit.from_mono_s - run.began_mono_s <= 1.4
        assert hit.until_mono_s is None
        assert run.wait(5).status == -signal.SIGKILL


def test_a_harness_that_is_stopped_may_go_on_after_its_time(tmp_path: Path) -> None:
    with _going_on(tmp_path) as run:
        hit = carry_out_strike(Scene(run), Strike(HARNESS, STOP, at_s=0.1, stopped_s=0.5))
        assert hit is not None
        assert hit.until_mono_s is not None
        assert 0.5 <= hit.until_mono_s - hit.from_mono_s <= 1.5
        ref = process_ref(run.pid)
        assert ref is not None
        assert not is_stopped(ref)


def test_a_run_that_is_over_is_not_hit(tmp_path: Path) -> None:
    with _going_on(tmp_path) as run:
        os.kill(run.pid, signal.SIGKILL)
        assert carry_out_strike(Scene(run), Strike(LOAD, KILL, at_s=0.0)) is None


def test_a_run_that_does_not_end_is_given_up_and_then_ended(tmp_path: Path) -> None:
    with _going_on(tmp_path) as run:
        with pytest.raises(TooLong):
            run.wait(0.2)
        os.kill(run.pid, signal.SIGSTOP)
        run.end()  # also one that was stopped
        assert run.ended()
