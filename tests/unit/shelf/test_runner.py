"""One run among several: whatever happens in it is said of it, and of no other."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import msgspec
import pytest
from rich.console import Console

from crashcart.loading import open_project
from crashcart.model.errors import BootError, CrashcartError, ExitStatus, NotUndone, UsageError
from crashcart.model.plan import Plan
from crashcart.model.recording import Machine
from crashcart.model.topology import ProcessRef
from crashcart.model.verdict import Outcome, Verdict
from crashcart.processes import boot_id
from crashcart.recorder import NotRecorded
from crashcart.running.interrupts import Interrupted, Interrupts
from crashcart.runtimes.local import LocalRuntime
from crashcart.safety.active import active_runs, register, request_abort
from crashcart.safety.recover import recover
from crashcart.wiring import runs, suites
from crashcart.wiring.runs import Bench
from crashcart.wiring.suites import RunRequest, SuiteRunner, known
from tests.unit.shelf.made import TINY, a_plan, a_verdict, record

Play = Callable[[Path, Interrupts], Verdict]


class Rig:
    """A runner whose runs are played."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench = Bench(open_project(TINY), folder / "runs", "abc1234", Machine(2, 4096, "", "", {}), LocalRuntime())
        self.screen = io.StringIO()
        self.interrupts = Interrupts()
        (folder / "suite").mkdir()
        self.folder = folder / "suite"
        self.runner = SuiteRunner(self.bench, self.folder, Console(file=self.screen, width=200), self.interrupts)
        self.play: Play = lambda out, interrupts: a_verdict()
        monkeypatch.setattr(suites, "run_in", self._run_in)

    def _run_in(
        self, bench: Bench, made: Plan, run_id: str, console: Console, interrupts: Interrupts, tell: object
    ) -> Verdict:
        return self.play(bench.runs_dir / made.name / run_id, interrupts)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(tmp_path, monkeypatch)


def raising(error: Exception) -> Play:
    def play(out: Path, interrupts: Interrupts) -> Verdict:
        raise error

    return play


def test_a_verdict_becomes_a_line_of_the_summary(rig: Rig) -> None:
    rig.play = lambda out, interrupts: a_verdict(Outcome.FAIL, run_id=out.name, reasons=("two were charged twice",))
    attempt = rig.runner.attempt(a_plan())
    assert (attempt.outcome, attempt.exit_status) == (Outcome.FAIL, ExitStatus.FAIL)
    assert attempt.worst == "two were charged twice"
    assert attempt.recording == f"shelf-gone/{attempt.run_id}"
    assert attempt.recovered_after_s == 1.0
    assert attempt.overhead_s is not None


def test_a_shop_that_does_not_come_up_is_no_verdict_and_no_error_of_ours(rig: Rig) -> None:
    rig.play = raising(BootError("door[0]", "it did not become ready"))
    attempt = rig.runner.attempt(a_plan())
    assert (attempt.outcome, attempt.exit_status) == (Outcome.INCONCLUSIVE, ExitStatus.INCONCLUSIVE)
    assert attempt.worst == "door[0]: it did not become ready"
    assert "door[0]: it did not become ready" in rig.screen.getvalue()
    assert attempt.overhead_s is None


def test_what_could_not_be_undone_keeps_its_status_and_its_report(rig: Rig) -> None:
    def play(out: Path, interrupts: Interrupts) -> Verdict:
        record(out.parents[1], out.name, a_verdict(Outcome.INCONCLUSIVE))
        raise NotUndone("door.shelf is still down")

    rig.play = play
    attempt = rig.runner.attempt(a_plan())
    assert attempt.exit_status == ExitStatus.NOT_UNDONE
    assert attempt.recording == f"shelf-gone/{attempt.run_id}"


def test_where_no_recording_can_be_begun_the_status_does_not_say_that_nothing_was_started(rig: Rig) -> None:
    rig.play = raising(UsageError("only 3 MiB are free"))
    attempt = rig.runner.attempt(a_plan())
    assert (attempt.recording, attempt.exit_status) == ("", ExitStatus.OURS)


def test_an_error_of_our_own_is_kept_with_its_trace(rig: Rig) -> None:
    rig.play = raising(ZeroDivisionError("a bug"))
    attempt = rig.runner.attempt(a_plan())
    assert attempt.exit_status == ExitStatus.OURS
    (trace,) = rig.folder.iterdir()
    assert "ZeroDivisionError: a bug" in trace.read_text(encoding="utf-8")
    assert str(trace) in rig.screen.getvalue()


def test_who_interrupts_a_run_interrupts_the_suite(rig: Rig) -> None:
    def play(out: Path, interrupts: Interrupts) -> Verdict:
        interrupts.ask("SIGTERM")
        return a_verdict()

    rig.play = play
    rig.runner.attempt(a_plan())
    assert rig.interrupts.asked
    assert rig.interrupts.how == "SIGTERM"


def test_who_leaves_while_what_a_broken_run_saw_is_judged_has_left(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def play(out: Path, interrupts: Interrupts) -> Verdict:
        record(out.parents[1], out.name, a_verdict(Outcome.INCONCLUSIVE))
        (out / "verdict.json").unlink()
        raise BootError("door[0]", "it did not become ready")

    def judge(recording: Path) -> Verdict:
        """As DuckDB does with what a signal's handler raises within a query."""
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Interrupted:
            raise RuntimeError("Query interrupted") from None
        raise AssertionError("the second request is heard at once")

    rig.play = play
    rig.interrupts.ask("SIGTERM")
    monkeypatch.setattr(suites, "judge_recording", judge)
    with rig.interrupts.handled(), pytest.raises(Interrupted):
        rig.runner.attempt(a_plan())


def test_an_abort_between_two_runs_is_heard(rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with known(rig.folder.name, rig.bench.runs_dir):
        rig.runner.attempt(a_plan())
        assert not rig.interrupts.asked
        request_abort(rig.folder.name)
        rig.runner.attempt(a_plan())
        assert rig.interrupts.how == "crashcart abort"
    assert active_runs() == ()


def test_what_a_killed_suite_leaves_in_the_register_is_cleared_by_recover(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    gone = subprocess.Popen(["true"])
    with known("20261122T080000Z-0000", rig.bench.runs_dir):
        (record_of_it,) = active_runs()
        gone.wait()
        register(msgspec.structs.replace(record_of_it, harness=ProcessRef(gone.pid, 1, boot_id())))
        told: list[str] = []
        assert recover(told.append).exit_status == ExitStatus.PASS
    assert told == ["20261122T080000Z-0000: nothing of it runs"]
    assert active_runs() == ()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        duckdb.IOException("IO Error: … No space left on device"),
        NotRecorded("the recording can't be written: No space left on device"),
    ],
)
def test_a_full_disk_is_said_in_words(error: Exception) -> None:
    said = runs._no_room(error, Path("runs/x"))
    assert isinstance(said, CrashcartError)
    assert said.exit_status == ExitStatus.OURS
    assert "the disk is full" in str(said)
    assert (
        runs._no_room(PermissionError(errno.EACCES, os.strerror(errno.EACCES)), Path("x")).__class__ is PermissionError
    )


def test_a_report_that_can_not_be_written_is_no_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(recording: Path) -> Verdict:
        raise UsageError("cannot write: no space", where="report.html")

    monkeypatch.setattr(runs, "judge_recording", judge)
    (tmp_path / "x").mkdir()
    with pytest.raises(CrashcartError, match="cannot write") as raised:
        runs._judged(tmp_path / "x")
    assert raised.value.exit_status == ExitStatus.OURS


def test_room_that_is_missing_from_the_start_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "LEAST_FREE_MIB", 1 << 40)
    with pytest.raises(UsageError, match="MiB are free"):
        runs._new_recording(tmp_path / "runs", "quiet", "20261122T080000Z-aaaa")
    assert list(tmp_path.iterdir()) == []


def test_one_experiment_without_more_is_no_suite() -> None:
    alone = RunRequest(experiments=("quiet",), overrides=("load.seed=8",))
    assert not alone.is_suite
    assert RunRequest(tags=("nightly",)).is_suite
    assert RunRequest(experiments=("quiet",), junit=Path("junit.xml")).is_suite
    assert RunRequest(experiments=("quiet",), rerun_inconclusive=1).is_suite
    assert RunRequest(experiments=("a", "b"), tags=("c,d",), not_tags=("e",)).chosen_by() == "a b --tag c,d --not-tag e"
