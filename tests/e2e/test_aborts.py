"""An abort always works: in every phase, however it is asked for, the run ends soon and whole, and leaves nothing."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from crashcart.model.verdict import Outcome
from crashcart.recorder import verify
from crashcart.safety.faultlog import open_steps, read_log
from tests.e2e.conftest import TINY, Harness, Recording, nothing_is_left_of

STEADY = """\
apiVersion: crashcart/v1
kind: Experiment
metadata: {name: steady, title: Nothing is broken}
hypothesis: All is well.
design: tiny
load: {profile: steady, peak_per_s: 15, seed: 3}
timeline: {warmup: 1s, baseline: 5s}
expect:
  baseline: [{slo: browse-availability}]
"""

CTRL_S = "\x13"

How = Callable[[Harness, "subprocess.Popen[str]"], None]


def _signal(number: signal.Signals) -> How:
    return lambda _, process: process.send_signal(number)


def _twice(_: Harness, process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)  # two keystrokes of a person, not one signal twice
    process.send_signal(signal.SIGINT)


def _abort(harness: Harness, _: subprocess.Popen[str]) -> None:
    assert harness.call("abort").returncode == 0


@dataclass(frozen=True)
class Case:
    """When, and how."""

    event: str
    how: How
    said: str
    experiment: str = "shelf-gone"
    books: bool = True
    nightly: bool = False
    """Another test of the short set has the way to ask, or the phase."""


CASES = {
    "boot, Ctrl-C": Case("boot-started", _signal(signal.SIGINT), "SIGINT", books=False),
    "boot, abort": Case("boot-started", _abort, "crashcart abort", books=False, nightly=True),
    "warm-up, SIGHUP": Case('phase","data":{"phase":"warmup', _signal(signal.SIGHUP), "SIGHUP", nightly=True),
    "baseline, SIGTERM": Case('phase","data":{"phase":"baseline', _signal(signal.SIGTERM), "SIGTERM"),
    "gate, abort": Case("gate", _abort, "crashcart abort", nightly=True),
    "recovery, Ctrl-C twice": Case('phase","data":{"phase":"recovery', _twice, "SIGINT", books=False, nightly=True),
    "collecting, Ctrl-C": Case("load-settled", _signal(signal.SIGINT), "SIGINT", "steady", books=False),
}
SHORT = ("--set", "timeline.fault=2s", "--set", "faults.0.for=2s", "--set", "load.peak_per_s=20")


def _arguments(case: Case, folder: Path) -> tuple[str, ...]:
    if case.experiment == "shelf-gone":
        return ("shelf-gone", *SHORT)
    path = folder / "steady.yaml"
    path.write_text(STEADY, encoding="utf-8")
    return (str(path),)


def is_clean(harness: Harness, recording: Recording) -> None:
    """Nothing of the run is left: no process, no fault, no folder, no record of it; and what it saw is whole."""
    run_id = recording.path.name
    assert nothing_is_left_of(run_id, 0.5)
    log = recording.path / "faultlog.jsonl"
    assert open_steps(read_log(log) if log.exists() else ()) == ()
    for folder in (Path(tempfile.gettempdir()), Path("/dev/shm")):
        assert list(folder.glob(f"crashcart-{run_id}*")) == []
    assert harness.active_runs() == []
    verify(recording.path)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=name, marks=[pytest.mark.nightly] if case.nightly else []) for name, case in CASES.items()],
)
def test_an_abort_ends_the_run_whole_and_leaves_nothing(tiny: Harness, tmp_path: Path, case: Case) -> None:
    process = tiny.start("run", *_arguments(case, tmp_path), "--out", str(tiny.runs))
    recording = tiny.wait_for_event(process, case.event)
    case.how(tiny, process)
    output, _ = process.communicate(timeout=40)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    is_clean(tiny, recording)
    assert recording.manifest.ended == "interrupted"
    assert recording.events("interrupted")[0].data["how"] == case.said
    assert recording.verdict.outcome is Outcome.INCONCLUSIVE
    assert recording.verdict.exit_status == 130
    if case.books:
        assert recording.events("books-read")


@pytest.mark.timeout(120)
def test_a_guardrail_aborts_the_run_after_its_whole_window(tiny: Harness, tmp_path: Path) -> None:
    text = (TINY / "experiments" / "shelf-gone.yaml").read_text(encoding="utf-8")
    path = tmp_path / "guarded.yaml"
    path.write_text(text + "guardrails:\n  - {slo: purchase-success, below: 0.5, for: 2s}\n", encoding="utf-8")
    done = tiny.run(str(path), "--set", "timeline.fault=20s", "--set", "faults.0.for=20s")
    assert done.returncode == 4, done.stdout + done.stderr
    recording = tiny.latest()
    is_clean(tiny, recording)
    assert recording.manifest.ended == "guardrail"
    [aborted] = recording.events("guardrail")
    [injected] = recording.events("fault-injected")
    assert aborted.t - injected.t >= 1.5
    assert "under the guardrail of 0.5" in aborted.data["reason"]


@dataclass(frozen=True)
class Terminal:
    """A command that runs at a terminal of the test's own."""

    pid: int
    far: int

    def press(self, keys: str) -> None:
        os.write(self.far, keys.encode())

    def wait(self, within_s: float) -> tuple[int, str]:
        """Exit status and all that was shown; the terminal is read until it closes."""
        shown = b""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            try:
                data = os.read(self.far, 65_536)
            except OSError:  # Linux says EIO when the near end is closed
                break
            if not data:
                break
            shown += data
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")


def at_a_terminal(harness: Harness, *arguments: str) -> Terminal:
    """Start it as the leader of a session whose terminal we hold."""
    pid, far = pty.fork()
    if pid == 0:
        os.execve(harness.argv()[0], tuple(harness.argv(*arguments)), {**harness.environment, "TERM": "xterm"})
    return Terminal(pid, far)


@pytest.mark.timeout(60)
def test_at_a_terminal_the_blast_radius_is_shown_and_no_means_no(tiny: Harness) -> None:
    terminal = at_a_terminal(tiny, "run", "shelf-gone", "--out", str(tiny.runs))
    terminal.press("n\n")
    status, shown = terminal.wait(30)
    assert status == 130, shown
    assert "may reach door, shoppers" in shown
    assert "Go on?" in shown
    assert not tiny.runs.exists(), "nothing was started"


@pytest.mark.timeout(120)
def test_a_terminal_that_goes_away_ends_the_run_and_leaves_nothing(tiny: Harness) -> None:
    terminal = at_a_terminal(tiny, "run", "shelf-gone", "--yes", "--out", str(tiny.runs), *SHORT)
    recording = tiny.wait_for_recorded('"event":"load-started"')
    os.close(terminal.far)  # the kernel sends SIGHUP, and whatever is said to the terminal from now on is an error
    _, status = os.waitpid(terminal.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    is_clean(tiny, recording)
    assert recording.events("interrupted")[0].data["how"] == "SIGHUP"
    assert recording.verdict.exit_status == 130


@pytest.mark.nightly
@pytest.mark.timeout(120)
def test_a_terminal_that_is_held_holds_up_neither_the_run_nor_its_end(tiny: Harness, tmp_path: Path) -> None:
    path = tmp_path / "steady.yaml"
    path.write_text(STEADY, encoding="utf-8")
    terminal = at_a_terminal(tiny, "run", str(path), "--out", str(tiny.runs))
    recording = tiny.wait_for_recorded('"event":"load-started"')
    terminal.press(CTRL_S)  # not one byte is taken from now on, and nobody reads
    _, status = os.waitpid(terminal.pid, 0)
    os.close(terminal.far)
    verdict = recording.verdict
    assert os.waitstatus_to_exitcode(status) == verdict.exit_status
    assert recording.manifest.ended == "completed"
    assert not recording.events("died")
    assert (recording.path / "report.html").is_file()
    is_clean(tiny, recording)


@pytest.mark.nightly
@pytest.mark.timeout(120)
def test_a_held_phase_goes_on_until_enter_and_is_judged_by_the_times_it_had(tiny: Harness) -> None:
    options = ("--yes", "--hold", "fault", "--hold-at-most", "10m", "--set", "load.peak_per_s=20")
    terminal = at_a_terminal(tiny, "run", "shelf-gone", "--out", str(tiny.runs), *options)
    recording = tiny.wait_for_recorded('"event":"fault-injected"')
    assert tiny.call("mark", "all hands on deck").returncode == 0
    held = Path(tiny.environment["XDG_STATE_HOME"]) / "crashcart" / "active" / f"{recording.path.name}.holding"
    until = time.monotonic() + 30
    while not held.exists() and time.monotonic() < until:
        time.sleep(0.05)
    terminal.press("\n")
    status, shown = terminal.wait(60)
    assert status == 0, shown
    verdict = recording.verdict
    assert verdict.valid, [check for check in verdict.validity if not check.ok]
    assert verdict.outcome is Outcome.PASS
    assert "holding fault: press Enter to go on" in shown
    [changed] = recording.events("phases")
    during = next(phase for phase in verdict.phases if phase.name == "fault")
    assert during.end_s == changed.data["phases"][2]["end_s"] < 60
    assert [mark.data["text"] for mark in recording.events("mark")] == ["all hands on deck"]
    is_clean(tiny, recording)


def test_a_phase_can_not_be_held_where_nobody_is_there_to_end_it(tiny: Harness) -> None:
    done = tiny.run("shelf-gone", "--hold", "fault")
    assert done.returncode == 2
    assert "at a terminal alone" in done.stderr
    assert not tiny.runs.exists()


@pytest.mark.parametrize("command", [("abort",), ("mark", "hello"), ("next",)])
def test_without_a_run_there_is_nobody_to_say_it_to(tiny: Harness, command: tuple[str, ...]) -> None:
    done = tiny.call(*command)
    assert done.returncode == 2
    assert "no run is under way" in done.stderr
    assert "Traceback" not in done.stderr
