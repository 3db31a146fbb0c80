"""What `crashcart init` writes works as it stands, in whatever folder a stranger puts it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from crashcart.model.verdict import Outcome
from crashcart.safety.faultlog import open_steps, read_log
from tests.e2e.conftest import Harness, Recording, nothing_is_left_of

SHORT = (
    "timeline.warmup=1s",
    "timeline.baseline=8s",
    "timeline.fault=5s",
    "timeline.recovery=11s",
    "faults.0.for=5s",
    "expect.recovery.within=1s",
)
"""As short as its objectives can be judged on."""


@pytest.mark.nightly
def test_a_new_project_runs_as_it_stands_by_the_line_that_it_prints(tiny: Harness, tmp_path: Path) -> None:
    said = _call(tiny, tmp_path, "init", "my shop")
    assert said.returncode == 0, said.stderr
    to_type = shlex.split(said.stdout.splitlines()[-1])
    assert to_type[0] == "crashcart"
    done = _call(tiny, tmp_path, *to_type[1:], *(word for value in SHORT for word in ("--set", value)))
    assert done.returncode == 0, done.stdout + done.stderr
    recording = Recording((tmp_path / "my shop/runs/latest").resolve())
    verdict = recording.verdict
    assert verdict.outcome is Outcome.PASS
    assert all(check.ok for check in verdict.validity), verdict.validity
    assert [one.ok for one in verdict.evidence] == [True], verdict.evidence
    assert {objective.cohort for objective in verdict.objectives} == {"all", "device:mobile"}
    assert [invariant.outcome for invariant in verdict.invariants] == [Outcome.PASS, Outcome.PASS]
    assert open_steps(read_log(recording.path / "faultlog.jsonl")) == ()
    assert nothing_is_left_of(recording.manifest.run_id, 0.1)


def _call(harness: Harness, where: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "crashcart", *words]
    return subprocess.run(
        argv, env=dict(harness.environment), cwd=where, capture_output=True, text=True, check=False, timeout=120
    )
