"""What a run is worth does not hang on somebody who reads it."""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

import crashcart.running
from crashcart.capacity import recall
from crashcart.loading import open_project
from crashcart.model.errors import BootError
from crashcart.model.plan import Plan
from crashcart.model.recording import Machine
from crashcart.model.verdict import Cost, Outcome, PhaseNumbers, Verdict
from crashcart.running.interrupts import Interrupts
from crashcart.runtimes.local import LocalRuntime
from crashcart.wiring import runs, suites
from crashcart.wiring.runs import Bench, Tell, run_in
from crashcart.wiring.suites import RunRequest, run_suite
from tests.unit.shelf.made import TINY, a_plan, a_verdict


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("CRASHCART_LOCK", str(tmp_path / "lock"))
    made = Bench(open_project(TINY), tmp_path / "runs", "", Machine(2, 4096, "", "", {}), LocalRuntime())
    monkeypatch.setattr(suites, "make_bench", lambda *_: made)
    return made


def _held_40_a_second() -> Verdict:
    baseline = PhaseNumbers("baseline", 10.0, 30.0, 800, 800, 0, 0, 0, 0, 20.0, 90.0)
    return msgspec.structs.replace(a_verdict(), phases=(baseline,), cost=Cost(0, 0, 20.0, {}, 0.05))


def test_what_is_to_be_kept_is_kept_before_anybody_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crashcart.running, "run", lambda *_: "completed")
    monkeypatch.setattr(runs, "make_parts", lambda *_: None)
    monkeypatch.setattr(runs, "_judged", lambda *_: _held_40_a_second())

    def tell(_out: Path, _verdict: Verdict) -> None:
        raise BrokenPipeError

    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, pytest.raises(BrokenPipeError):
        run_in(bench, a_plan(), "20260101T000000Z-abcd", Console(file=nowhere), Interrupts(), tell)
    assert [held.per_s for held in recall(a_plan(), bench.project.root)[0]] == [40.0]


def test_a_run_that_comes_to_nothing_leaves_nobody_the_one_before_to_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall(*_: object) -> None:
        raise BootError("door[0]", "it did not become ready")

    monkeypatch.setattr(runs, "make_parts", lambda *_: None)
    monkeypatch.setattr(runs, "_judged", lambda *_: a_verdict())
    ids = ("20260101T000000Z-abcd", "20260102T000000Z-abcd")
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        for run_id, course in zip(ids, (lambda *_: "completed", fall), strict=True):
            monkeypatch.setattr(crashcart.running, "run", course)
            with suppress(BootError):
                run_in(bench, a_plan(), run_id, Console(file=nowhere), Interrupts(), lambda *_: None)
    assert (bench.runs_dir / "latest").resolve().name == ids[1]


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.FAIL])
def test_the_exit_status_is_the_verdicts_though_nobody_reads_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    read_end, write_end = os.pipe()

    def play(
        _bench: Bench, _made: Plan, _id: str, console: Console, _interrupts: Interrupts, tell: Tell, _hold: object
    ) -> Verdict:
        os.close(read_end)
        verdict = a_verdict(outcome)
        console.print("phase baseline")
        tell(bench.runs_dir, verdict)
        return verdict

    monkeypatch.setattr(suites, "run_in", play)
    monkeypatch.setattr(suites, "machine_taken", lambda *_: nullcontext())
    monkeypatch.setattr("crashcart.reporting.unwritten", lambda *_: ())
    with os.fdopen(write_end, "w", encoding="utf-8") as pipe:
        status = run_suite(bench.project, RunRequest(("shelf-gone",), yes=True), Console(file=pipe))
    assert status == a_verdict(outcome).exit_status
