"""A part of the harness that dies or hangs: the run ends early, says which, is never a pass, and leaves nothing."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from crashcart.model.topology import ProcessRef
from crashcart.model.verdict import Outcome
from crashcart.processes import is_same_process
from crashcart.runtimes.topology_file import load_topology
from crashcart.safety.active import ActiveRun
from crashcart.safety.faultlog import open_steps, read_log
from tests.e2e.conftest import TINY, Harness, nothing_is_left_of
from tests.e2e.test_aborts import is_clean

LONG = ("--set", "timeline.fault=30s", "--set", "faults.0.for=28s", "--set", "load.peak_per_s=12")
BASELINE = 'phase","data":{"phase":"baseline'
FAULT = "fault-injected"


def _active(harness: Harness) -> ActiveRun:
    [path] = Path(harness.environment["XDG_STATE_HOME"]).glob("crashcart/active/*.json")
    return msgspec.json.decode(path.read_bytes(), type=ActiveRun)


def _part(harness: Harness, name: str) -> ProcessRef:
    run = _active(harness)
    if name == "watchdog":
        assert run.watchdog is not None
        return run.watchdog
    found = load_topology(run.state_dir).instance(name).process
    assert found is not None
    return found


@dataclass(frozen=True)
class Case:
    """What is done to which part when, and what becomes of it."""

    part: str
    number: signal.Signals
    event: str
    says: str
    status: int = 3
    guardrail: bool = False
    nightly: bool = False

    @property
    def name(self) -> str:
        return f"{self.part}-{self.number.name}{'-guarded' if self.guardrail else ''}"


CASES = [
    Case("prometheus", signal.SIGKILL, FAULT, "prometheus died"),
    Case("prometheus", signal.SIGSTOP, BASELINE, "could not be read", nightly=True),
    Case("prometheus", signal.SIGSTOP, FAULT, "could not be read", status=4, guardrail=True),
    Case("load", signal.SIGKILL, FAULT, "load died"),
    Case("load", signal.SIGSTOP, FAULT, "load did not answer", nightly=True),
    Case("toxiproxy", signal.SIGKILL, FAULT, "toxiproxy died", nightly=True),
    Case("toxiproxy", signal.SIGSTOP, FAULT, "toxiproxy did not answer"),
    Case("watchdog", signal.SIGKILL, FAULT, "watchdog died"),
]


def _experiment(case: Case, folder: Path) -> str:
    if not case.guardrail:
        return "shelf-gone"
    text = (TINY / "experiments" / "shelf-gone.yaml").read_text(encoding="utf-8")
    path = folder / "guarded.yaml"
    path.write_text(text + "guardrails:\n  - {slo: browse-availability, below: 0.5, for: 2s}\n", encoding="utf-8")
    return str(path)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.name, marks=[pytest.mark.nightly] if case.nightly else []) for case in CASES],
)
def test_a_part_that_dies_or_hangs_ends_the_run_with_a_word(tiny: Harness, tmp_path: Path, case: Case) -> None:
    process = tiny.start("run", _experiment(case, tmp_path), "--out", str(tiny.runs), *LONG)
    recording = tiny.wait_for_event(process, case.event)
    ref = _part(tiny, case.part)
    os.kill(ref.pid, case.number)
    struck = time.monotonic()
    output, _ = process.communicate(timeout=90)
    assert process.returncode == case.status, output
    assert time.monotonic() - struck < 45
    assert "Traceback" not in output
    assert not is_same_process(ref)
    is_clean(tiny, recording)
    verdict = recording.verdict
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert not verdict.valid
    assert verdict.exit_status == case.status
    assert case.says in verdict.headline, verdict.headline
    troubles = [check for check in verdict.validity if not check.ok]
    assert any(case.says in check.detail for check in troubles), troubles
    if case.event == FAULT:
        assert open_steps(read_log(recording.path / "faultlog.jsonl")) == ()


@pytest.mark.timeout(120)
def test_what_a_harness_and_its_watchdog_leave_when_both_are_killed_is_cleared_up_by_recover(tiny: Harness) -> None:
    process = tiny.start("run", "shelf-gone", "--out", str(tiny.runs), *LONG)
    recording = tiny.wait_for_event(process, FAULT)
    watchdog = _part(tiny, "watchdog")
    os.kill(watchdog.pid, signal.SIGKILL)
    process.kill()
    process.wait()
    said = tiny.call("mark", "hello")
    assert said.returncode == 2
    assert "crashcart recover" in said.stderr
    assert not nothing_is_left_of(recording.path.name, 0.0), "nobody was there to end it"
    done = tiny.call("recover")
    assert done.returncode == 0, done.stdout + done.stderr
    assert nothing_is_left_of(recording.path.name, 0.5)
    assert open_steps(read_log(recording.path / "faultlog.jsonl")) == ()
    assert tiny.active_runs() == []
    judged = tiny.call("judge", str(recording.path))
    assert judged.returncode == 2
    assert "the recording was cut short" in judged.stderr
