"""Whole runs in which one instrument lies: they end, say what is wrong, exit with 3, and leave nothing behind."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from crashcart.model.errors import ExitStatus
from crashcart.model.verdict import Outcome
from crashcart.safety.faultlog import open_steps, read_log
from tests.e2e.conftest import Harness, nothing_is_left_of


@dataclass(frozen=True)
class LyingHarness(Harness):
    """The same, with one instrument altered."""

    lie: str = ""

    def argv(self, *arguments: str) -> Sequence[str]:
        return (sys.executable, "-m", "tests.e2e.lying", self.lie, "--project", str(self.project), *arguments)


CASES = [
    pytest.param("fault-does-nothing", "evidence", "only 0 % of the probes during the fault", id="fault-does-nothing"),
    pytest.param("prometheus-lacks-failures", "all-scraped", 'honest="no"', id="prometheus-lacks-failures"),
    pytest.param(
        "fault-outlives-its-phase",
        "evidence",
        "outside the fault showed it too",
        id="fault-outlives-its-phase",
        marks=[pytest.mark.nightly],
    ),
    pytest.param(
        "prometheus-is-stale", "all-scraped", "scraped, ", id="prometheus-is-stale", marks=[pytest.mark.nightly]
    ),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("lie", "check", "said"), CASES)
def test_a_run_with_an_instrument_that_lies_is_never_a_pass(tiny: Harness, lie: str, check: str, said: str) -> None:
    harness = LyingHarness(tiny.project, tiny.runs, tiny.environment, lie)
    done = harness.run_on_time("shelf-gone")
    assert done.returncode == ExitStatus.INCONCLUSIVE, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    recording = harness.latest()
    verdict = recording.verdict
    assert verdict.outcome is Outcome.INCONCLUSIVE
    troubles = {one.name: one.detail for one in verdict.validity if not one.ok}
    assert said in troubles.get(check, ""), troubles
    assert open_steps(read_log(recording.path / "faultlog.jsonl")) == ()
    assert nothing_is_left_of(recording.manifest.run_id, 1.0)
