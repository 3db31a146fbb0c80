"""A shop that answers wrongly is told so in words: nobody has to guess why the gate stayed closed."""

from __future__ import annotations

import shutil
from pathlib import Path

from crashcart.model.errors import ExitStatus
from tests.e2e.conftest import TINY, Harness


def test_where_orders_are_answered_with_a_page_the_closed_gate_says_what_shoppers_saw(
    tiny: Harness, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    shutil.copytree(TINY, project)
    plumbing = project / "stack" / "plumbing.py"
    text = plumbing.read_text(encoding="utf-8")
    right = "return self._answer(post(self.path, self.headers.get("
    wrong = 'return self._say(201, b"<h1>Thank you</h1>", "text/html") if self.path == "/orders" else self._answer('
    assert right in text
    plumbing.write_text(text.replace(right, f"{wrong}post(self.path, self.headers.get("), encoding="utf-8")
    harness = Harness(project, tiny.runs, tiny.environment)
    done = harness.run_on_time("shelf-gone")
    said = "purchases came to nothing"
    why = "the answer of POST /orders (201, text/html) is wrong: it is no JSON"
    assert done.returncode == ExitStatus.INCONCLUSIVE, done.stdout + done.stderr
    recording = harness.latest()
    verdict = recording.verdict
    assert verdict.ended == "gate-closed"
    offered = next(phase.offered for phase in verdict.phases if phase.name == "baseline")
    gate = next(check.detail for check in verdict.validity if check.name == "gate")
    assert f"{offered} of {offered} {said}: {offered} × {why}" in gate
    assert why in " ".join(done.stdout.split())
    for name in ("report.md", "report.html"):
        assert "What shoppers saw" in (recording.path / name).read_text(encoding="utf-8")
