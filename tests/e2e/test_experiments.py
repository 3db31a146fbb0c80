"""The repository's experiments, shortened where nothing is lost by it: is each verdict true?"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from crashcart.model.verdict import Outcome, Verdict
from tests.e2e.conftest import Harness, Recording, nothing_is_left_of

SHORTER = ("--set", "timeline.warmup=5s", "--set", "timeline.recovery=26s")
FAILING = """\
apiVersion: crashcart/v1
kind: Experiment
metadata: {name: shelf-missed, title: What is promised can not be kept}
hypothesis: Orders do not need the shelf.
design: tiny
load: {profile: steady, peak_per_s: 20, seed: 3}
timeline: {warmup: 1s, baseline: 4s, fault: 5s, recovery: 4s}
faults:
  - toxiproxy/down: {link: door.shelf}
    at: 0s
    for: 5s
expect:
  baseline: [{slo: purchase-success}]
  fault: [{slo: browse-availability}, {slo: purchase-success}]
  always: {invariants: all}
"""


def _is_whole(harness: Harness, recording: Recording) -> Verdict:
    """What must be true of any run that ended by itself."""
    verdict = recording.verdict
    assert recording.manifest.ended == "completed"
    assert verdict.valid, [check for check in verdict.validity if not check.ok]
    assert all(invariant.outcome is Outcome.PASS for invariant in verdict.invariants), verdict.invariants
    assert all(invariant.examined >= invariant.min_examined for invariant in verdict.invariants)
    assert len(verdict.invariants) >= 13
    assert nothing_is_left_of(recording.manifest.run_id, 0.1)
    assert harness.active_runs() == []
    assert (recording.path / "report.html").stat().st_size < 2_000_000
    assert ET.parse(recording.path / "junit.xml").getroot().findall(".//testcase")
    return verdict


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_the_steady_state_passes_and_is_judged_the_same_again(shop: Harness) -> None:
    done = shop.run_on_time("steady-state", "--set", "timeline.warmup=5s", "--set", "timeline.baseline=20s")
    assert done.returncode == 0, done.stdout + done.stderr
    recording = shop.latest()
    verdict = _is_whole(shop, recording)
    assert verdict.outcome is Outcome.PASS
    assert all(objective.valid > 0 for objective in verdict.objectives if objective.slo != "honest-errors")
    before = (recording.path / "verdict.json").read_bytes()
    again = shop.call("judge", str(recording.path))
    assert again.returncode == 0, again.stderr
    assert (recording.path / "verdict.json").read_bytes() == before


@pytest.mark.timeout(120)
def test_a_promise_that_is_not_kept_fails_the_run_and_nothing_else_does(tiny: Harness, tmp_path: Path) -> None:
    file = tmp_path / "shelf-missed.yaml"
    file.write_text(FAILING, encoding="utf-8")
    done = tiny.run_on_time(str(file))
    assert done.returncode == 1, done.stdout + done.stderr
    verdict = tiny.latest().verdict
    assert verdict.outcome is Outcome.FAIL
    assert verdict.valid, [check for check in verdict.validity if not check.ok]
    failed = {(o.phase, o.slo) for o in verdict.objectives if o.outcome is Outcome.FAIL}
    assert failed == {("fault", "purchase-success")}
    assert all(invariant.outcome is Outcome.PASS for invariant in verdict.invariants)


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_without_a_failover_the_same_outage_fails_the_run_for_the_right_reason(shop: Harness) -> None:
    done = shop.run_on_time("card-processor-outage-at-peak", *SHORTER, "--design", "no-failover")
    assert done.returncode == 1, done.stdout + done.stderr
    verdict = shop.latest().verdict
    assert verdict.outcome is Outcome.FAIL
    failed = {(o.phase, o.slo, o.cohort) for o in verdict.objectives if o.outcome is Outcome.FAIL}
    assert ("fault", "purchase-success", "network:visa") in failed
    assert not any(cohort in ("network:mastercard", "network:amex") for _, _, cohort in failed)
    assert not any(phase == "baseline" for phase, _, _ in failed)
    assert all(invariant.outcome is Outcome.PASS for invariant in verdict.invariants)


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_a_slow_inventory_database_makes_buying_slower_and_nothing_else(shop: Harness) -> None:
    done = shop.run_on_time("slow-inventory-db", *SHORTER)
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = _is_whole(shop, shop.latest())
    evidence = verdict.evidence[0]
    assert evidence.measured_ms is not None
    assert 300 <= evidence.measured_ms <= 330
    by_name = {phase.name: phase for phase in verdict.phases}
    before, during = by_name["baseline"].checkout_p50_ms, by_name["fault"].checkout_p50_ms
    assert before is not None
    assert during is not None
    assert during - before >= 290


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_a_killed_checkout_loses_time_and_no_order(shop: Harness) -> None:
    done = shop.run_on_time("checkout-killed-mid-order", *SHORTER)
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = _is_whole(shop, shop.latest())
    during = next(phase for phase in verdict.phases if phase.name == "fault")
    assert during.failed + during.unknown > 0, "ten seconds without a checkout cost purchases"
    assert verdict.evidence[0].ok
