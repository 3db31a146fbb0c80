"""crashcart tried on itself, with real runs: quiet where nothing is wrong, and clean and honest whatever is hit."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from crashcart.model.errors import ExitStatus
from crashcart.selftest.alarms import Quiet
from crashcart.selftest.fire import KINDS
from crashcart.selftest.fired import Fired
from tests.e2e.conftest import Harness

CALMER = ("--set", "load.peak_per_s=20")


class _Line(msgspec.Struct):
    case: str
    result: msgspec.Raw


def _results(out: Path, name: str) -> dict[str, bytes]:
    """Results by case, as they stand in the ledger below its head."""
    lines = (out / f"{name}.jsonl").read_bytes().splitlines()[1:]
    decoded = [msgspec.json.decode(line, type=_Line) for line in lines]
    return {line.case: bytes(line.result) for line in decoded}


def _quiet(out: Path) -> dict[str, Quiet]:
    return {case: msgspec.json.decode(result, type=Quiet) for case, result in _results(out, "a-a").items()}


def _fired(out: Path) -> dict[str, Fired]:
    return {case: msgspec.json.decode(result, type=Fired) for case, result in _results(out, "fire").items()}


def _wait_for_result(process: subprocess.Popen[str], out: Path, within_s: float) -> None:
    until = time.monotonic() + within_s
    while not ((out / "a-a.jsonl").exists() and _results(out, "a-a")):
        if process.poll() is not None or time.monotonic() > until:
            raise AssertionError(f"no first result: {process.communicate(timeout=60)[0]}")
        time.sleep(0.05)


@pytest.mark.nightly
@pytest.mark.timeout(240)
def test_a_selftest_that_is_killed_goes_on_too_and_first_ends_the_run_that_it_left(
    tiny: Harness, tmp_path: Path
) -> None:
    out = tmp_path / "selftest"
    command = ("selftest", "--a-a", "2", "--out", str(out), *CALMER)
    process = tiny.start(*command)
    _wait_for_result(process, out, 60)
    first = _quiet(out)
    while not (left := tiny.active_runs()):
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=60)
    assert tiny.active_runs() == left, "nobody has told the run that goes on"

    done = tiny.call(*command)
    assert done.returncode in (ExitStatus.PASS, ExitStatus.FAIL), done.stdout + done.stderr
    results = _quiet(out)
    assert results["001-plain"] == first["001-plain"], "what was done is not done again"
    assert list(results) == ["001-plain", "002-noop"]
    assert tiny.active_runs() == []


@pytest.mark.timeout(240)
def test_it_is_quiet_where_nothing_is_wrong_and_goes_on_where_it_was_stopped(tiny: Harness, tmp_path: Path) -> None:
    out = tmp_path / "selftest"
    command = ("selftest", "--a-a", "2", "--out", str(out), *CALMER)
    process = tiny.start(*command)
    _wait_for_result(process, out, 60)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == ExitStatus.INTERRUPTED, output
    assert f"--out {out} goes on from here" in output.replace("\n", " ")
    assert tiny.active_runs() == [], "the run that was under way has ended"
    first = _quiet(out)
    assert list(first) == ["001-plain"]

    done = tiny.call(*command)
    results = _quiet(out)
    assert results["001-plain"] == first["001-plain"], "what was done is not done again"
    assert [one.kind for one in results.values()] == ["plain", "noop"]
    alarms = [what for one in results.values() for what in one.found]
    assert done.returncode == (ExitStatus.FAIL if alarms else ExitStatus.PASS), done.stdout + done.stderr
    # a machine that was too busy to begin sessions on time says so, and nothing else is let pass
    assert [what for what in alarms if "lateness" not in what] == []
    assert "| plain | 1 |" in (out / "selftest.md").read_text(encoding="utf-8")


def _under_fire(tiny: Harness, tmp_path: Path, runs: int, timeout_s: float) -> dict[str, Fired]:
    """So many runs are hit; all is as it must be, whatever they came to."""
    out = tmp_path / "selftest"
    command = ("selftest", "--fire", str(runs), "--out", str(out), *CALMER)
    done = tiny.call(*command, timeout_s=timeout_s)
    if done.returncode == ExitStatus.INCONCLUSIVE:  # the run that nobody hits was late on a busy machine: once more
        done = tiny.call(*command, timeout_s=timeout_s)
    assert done.returncode == ExitStatus.PASS, done.stdout + done.stderr
    results = _fired(out)
    assert len(results) == runs
    assert all(one.left == () and one.not_looked_at == () and one.found == () for one in results.values())
    assert all(one.clean_after_s is not None and one.clean_after_s <= 5.0 for one in results.values())
    assert any(one.at_s is not None for one in results.values()), "somebody was hit"
    assert tiny.active_runs() == []
    return results


@pytest.mark.timeout(300)
def test_whoever_is_hit_nothing_is_left_and_nothing_is_a_lie(tiny: Harness, tmp_path: Path) -> None:
    _under_fire(tiny, tmp_path, 4, 280)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_every_part_in_every_way_of_being_hit(tiny: Harness, tmp_path: Path) -> None:
    results = _under_fire(tiny, tmp_path, len(KINDS), 880)
    assert {(one.target, one.deed) for one in results.values()} == set(KINDS)
