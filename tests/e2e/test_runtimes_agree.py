"""The declared short set of both runtimes: as processes and in containers experiments end in the same verdicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.model.verdict import Outcome, Verdict
from tests.e2e.conftest import Demo, Harness
from tests.e2e.test_experiments import FAILING

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


def _verdict(harness: Harness, runtime: str, experiment: str) -> Verdict:
    done = harness.run_on_time(experiment, "--runtime", runtime, timeout_s=180)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    verdict = harness.latest().verdict
    assert verdict.valid, [check for check in verdict.validity if not check.ok]
    assert all(one.ok for one in verdict.evidence), [one.detail for one in verdict.evidence]
    return verdict


def _told(verdict: Verdict) -> tuple[object, ...]:
    """All that an exit status or a reader would go by."""
    objectives = {(one.phase, one.slo, one.cohort): one.outcome for one in verdict.objectives}
    invariants = {one.name: one.outcome for one in verdict.invariants}
    return verdict.outcome, objectives, invariants


def test_a_promise_that_is_kept(tiny: Harness, finished: Harness) -> None:
    here, there = finished.latest().verdict, _verdict(tiny, "docker", "shelf-gone")
    assert here.outcome is Outcome.PASS
    assert _told(there) == _told(here)


def test_a_promise_that_is_not_kept(tiny: Harness, tmp_path: Path) -> None:
    missed = tmp_path / "shelf-missed.yaml"
    missed.write_text(FAILING, encoding="utf-8")
    here, there = (_verdict(tiny, runtime, str(missed)) for runtime in ("local", "docker"))
    assert here.outcome is Outcome.FAIL
    assert _told(there) == _told(here)


def test_a_card_processor_that_is_gone(shop: Harness, demo: Demo) -> None:
    here, there = demo[1].verdict, _verdict(shop, "docker", "card-processor-outage-at-peak")
    assert here.outcome is Outcome.PASS
    assert _told(there) == _told(here)
