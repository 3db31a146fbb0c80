"""However a run is left, nothing of it stays: no fault, no process, no folder."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from crashcart.model.verdict import Outcome
from crashcart.safety.faultlog import open_steps, read_log
from tests.e2e.conftest import Harness, nothing_is_left_of

LONG = ("--set", "timeline.fault=25s", "--set", "faults.0.for=20s", "--set", "timeline.recovery=15s")


def _clean(recording: Path, within_s: float) -> None:
    run_id = recording.name
    assert nothing_is_left_of(run_id, within_s)
    until = time.monotonic() + within_s
    while _left_on_disk(recording) and time.monotonic() < until:  # the folder goes after the last process
        time.sleep(0.02)
    assert _left_on_disk(recording) == []


def _left_on_disk(recording: Path) -> list[object]:
    """Faults that are open by the log, and throw-away folders."""
    folders = (Path(tempfile.gettempdir()), Path("/dev/shm"))
    found = [path for folder in folders for path in folder.glob(f"crashcart-{recording.name}*")]
    return [*open_steps(read_log(recording / "faultlog.jsonl")), *found]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("event", ["boot-started", "load-started", "fault-injected"])
def test_after_a_kill_of_the_harness_nothing_is_left_within_five_seconds(tiny: Harness, event: str) -> None:
    process = tiny.start("run", "shelf-gone", "--out", str(tiny.runs), *LONG)
    recording = tiny.wait_for_event(process, event)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    killed = time.monotonic()
    assert nothing_is_left_of(recording.path.name, 5.0)
    assert time.monotonic() - killed <= 5.5
    if event == "fault-injected":
        _clean(recording.path, 1.0)


@pytest.mark.timeout(120)
def test_an_interrupt_undoes_the_fault_and_reports(tiny: Harness) -> None:
    process = tiny.start("run", "shelf-gone", "--out", str(tiny.runs), *LONG)
    recording = tiny.wait_for_event(process, "fault-injected")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=40)
    assert process.returncode == 130, output
    _clean(recording.path, 0.1)
    verdict = recording.verdict
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert recording.manifest.ended == "interrupted"
    assert verdict.invariants[0].examined > 0, "also now the books are read"
    assert (recording.path / "report.html").exists()
    assert tiny.active_runs() == []


@pytest.mark.timeout(120)
def test_two_interrupts_undo_the_fault_and_leave(tiny: Harness) -> None:
    process = tiny.start("run", "shelf-gone", "--out", str(tiny.runs), *LONG)
    recording = tiny.wait_for_event(process, "fault-injected")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)  # two keystrokes of a person, not one signal twice
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 130, output
    _clean(recording.path, 0.1)


@pytest.mark.timeout(120)
def test_another_terminal_can_end_the_run(tiny: Harness) -> None:
    process = tiny.start("run", "shelf-gone", "--out", str(tiny.runs), *LONG)
    recording = tiny.wait_for_event(process, "fault-injected")
    assert tiny.call("abort").returncode == 0
    output, _ = process.communicate(timeout=40)
    assert process.returncode == 130, output
    _clean(recording.path, 0.1)


@pytest.mark.timeout(120)
def test_a_second_run_is_refused_while_one_is_under_way(tiny: Harness) -> None:
    process = tiny.start("run", "shelf-gone", "--out", str(tiny.runs), *LONG)
    recording = tiny.wait_for_event(process, "ready")
    second = tiny.run("shelf-gone")
    assert second.returncode == 2
    assert "another run is under way" in second.stderr
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=40)
    assert process.returncode == 130
    assert nothing_is_left_of(recording.path.name, 0.1)


@pytest.mark.timeout(120)
def test_a_whole_run_of_the_second_project_is_judged(finished: Harness) -> None:
    verdict = finished.latest().verdict
    assert verdict.outcome is Outcome.PASS
    assert verdict.evidence[0].ok
    assert verdict.invariants[0].examined > 100
