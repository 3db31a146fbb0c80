"""Faults that need containers, and those that mean the same in them, in whole runs: is each shown to have acted?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crashcart.model.verdict import Outcome
from crashcart.runtimes.container_leftovers import left_of
from crashcart.runtimes.packet_loss import lacks_packet_loss
from tests.e2e.conftest import CANARY, SECRETS, Harness, Recording, nothing_is_left_of
from tests.e2e.overhearing import overheard
from tests.e2e.test_faults_of_hosts import written
from tests.e2e.test_secrets import holding

pytestmark = [pytest.mark.docker, pytest.mark.timeout(400)]

FAULTS = [
    ("network/partition: {service: shelf}", 0, 7),
    ("network/loss: {service: shelf, share: 0.2}", 14, 6),
    ("service/cpu-limit: {service: shelf, cpus: 0.01}", 24, 6),
    ("service/memory-limit: {service: shelf, mib: 8}", 34, 6),
]
OWN = {name: value for name, value in SECRETS.items() if "proxy" not in name.lower()}
"""Of what a user's shell may hold: by way of a proxy where nobody is, no image could be built."""


def _run(harness: Harness, folder: Path, phase: str, faults: list[tuple[str, int, int]]) -> Recording:
    """Each fault is shown, nothing else went wrong with the run, and nothing of it is left."""
    path = written(folder, "tiny", phase, faults)
    done = harness.run_on_time(path, "--runtime", "docker", timeout_s=190)
    assert (harness.runs / "latest").exists(), done.stderr
    recording = harness.latest()
    verdict = recording.verdict
    assert {one.title: one.detail for one in verdict.evidence if not one.ok} == {}, done.stdout
    assert len(verdict.evidence) == len(faults)
    assert verdict.valid, [check for check in verdict.validity if not check.ok]
    assert [one.violations for one in verdict.invariants] == [0]
    assert verdict.outcome is not Outcome.FAIL, done.stdout
    assert nothing_is_left_of(recording.manifest.run_id, 0.1)
    assert left_of(recording.manifest.run_id) == ()
    assert (recording.path / "logs" / "shelf[0].log").stat().st_size > 0
    return recording


def test_what_only_a_container_can_suffer_is_seen_while_it_is_there_and_only_then(
    tiny: Harness, tmp_path: Path
) -> None:
    faults = FAULTS
    if lacks_packet_loss():
        faults = [fault for fault in faults if not fault[0].startswith("network/loss")]
    _run(tiny, tmp_path, "42s", faults)


def test_what_a_process_can_suffer_a_container_can_suffer_too(tiny: Harness, tmp_path: Path) -> None:
    faults = [
        ("toxiproxy/latency: {link: door.shelf, latency: 300ms}", 0, 4),
        ("service/pause: {service: shelf}", 6, 6),
        ("service/cpu-hog: {service: shelf, share: 0.6}", 16, 5),
        ("shelf/refuse: {share: 0.5}", 24, 6),
        ("service/kill: {service: shelf, how: terminate}", 32, 3),
    ]
    harness = replace(tiny, environment={**tiny.environment, **OWN})
    with overheard() as tokens:
        recording = _run(harness, tmp_path, "36s", faults)
    token = tokens[recording.manifest.run_id]
    assert len(token) >= 32
    state = Path(harness.environment["XDG_STATE_HOME"])
    assert list(holding([recording.manifest.run_id], [recording.path])), "things are found there"
    assert list(holding([CANARY, *tokens.values()], [harness.runs, state])) == []
