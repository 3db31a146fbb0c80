"""Faults on processes, disks and admin APIs, in whole runs of the tiny project: is each of them shown to have acted?"""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.model.verdict import Outcome
from crashcart.runtimes.disks import lacks_disks, own_disks
from tests.e2e.conftest import Harness, nothing_is_left_of

EXPERIMENT = """\
apiVersion: crashcart/v1
kind: Experiment
metadata: {name: hosts, title: One fault after the other}
hypothesis: Whatever becomes of the shelf, the door opens, and no order is lost.
design: DESIGN
load: {profile: steady, peak_per_s: 20, seed: 5}
timeline: {warmup: 3s, baseline: 5s, fault: FAULT_PHASE, recovery: 17s}
faults:
FAULTS
expect:
  baseline: [{slo: browse-availability}]
  fault: [{slo: browse-availability, objective: 0.9}]
  always: {invariants: all}
"""
FAULTS = [
    ("service/pause: {service: shelf}", 0, 6),
    ("service/cpu-hog: {service: shelf, share: 0.6}", 9, 5),
    ("disk/full: {service: shelf}", 16, 4),
    ("shelf/refuse: {share: 0.5}", 22, 6),
    ("service/kill: {service: shelf, how: terminate}", 30, 3),
]
"""Each with when it begins and how long it lasts, in seconds of the fault phase."""


def written(folder: Path, design: str, phase: str, faults: list[tuple[str, int, int]]) -> str:
    """The experiment's file; each fault with when it begins and how long it lasts, in seconds of the fault phase."""
    lines = "\n".join(f"  - {fault}\n    at: {at}s\n    for: {lasts}s" for fault, at, lasts in faults)
    text = EXPERIMENT.replace("DESIGN", design).replace("FAULT_PHASE", phase).replace("FAULTS", lines)
    path = folder / "hosts.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.alone  # a hog gets its share of a processor only where nobody else wants it
@pytest.mark.timeout(300)
def test_each_fault_is_seen_while_it_is_there_and_only_then(tiny: Harness, tmp_path: Path) -> None:
    faults = FAULTS
    if lacks_disks():
        faults = [fault for fault in faults if not fault[0].startswith("disk/full")]
    done = tiny.run_on_time(written(tmp_path, "tiny-disk", "34s", faults), timeout_s=140)
    assert (tiny.runs / "latest").exists(), done.stderr
    recording = tiny.latest()
    verdict = recording.verdict
    assert {one.title: one.detail for one in verdict.evidence if not one.ok} == {}, done.stdout
    assert len(verdict.evidence) == len(faults)
    assert verdict.valid, [check for check in verdict.validity if not check.ok]
    # so many shoppers are left in doubt by a shelf that hangs that the books can't prove it; they must not deny it
    assert [one.violations for one in verdict.invariants] == [0]
    assert all(one.examined >= one.min_examined for one in verdict.invariants)
    assert verdict.outcome is not Outcome.FAIL, done.stdout
    assert nothing_is_left_of(recording.manifest.run_id, 0.1)
    assert not any(recording.manifest.run_id in str(disk) for disk in own_disks())


@pytest.mark.timeout(300)
def test_a_service_that_does_not_come_up_again_is_what_the_run_says_first(tiny: Harness, tmp_path: Path) -> None:
    kill = [("service/kill: {service: shelf}", 0, 3)]
    done = tiny.run(written(tmp_path, "tiny-once", "4s", kill), "--set", "timeline.recovery=12s")
    assert done.returncode == 5, done.stdout + done.stderr
    assert "shelf[0]" in done.stderr
    assert "put up once, and not again" in done.stderr
    recording = tiny.latest()
    undone = next(check for check in recording.verdict.validity if check.name == "undone")
    assert not undone.ok
    assert "service/kill on shelf[0]" in undone.detail
    broken = [one for one in recording.verdict.invariants if one.outcome is Outcome.FAIL]
    assert all("the shop was still broken" in one.reason for one in broken)
    assert nothing_is_left_of(recording.manifest.run_id, 0.1)
