"""The recording that judging is timed with: were anything wrong with it, less would be looked at than of a real one."""

from __future__ import annotations

from pathlib import Path

from crashcart.judging import judge
from crashcart.model.verdict import Outcome
from tests.bench.made import make_recording

ROOT = Path(__file__).parents[3]
SMALL = ("stock-adds-up", "status-tells-of-trouble")
"""These examine products, and looks at a page."""


def test_nothing_is_wrong_with_it_and_everything_is_looked_at(tmp_path: Path) -> None:
    verdict = judge(make_recording(ROOT, tmp_path / "recording", 20_000))
    assert [check.detail for check in verdict.validity if not check.ok] == []
    assert (verdict.outcome, verdict.reasons) == (Outcome.PASS, ())
    assert all(one.examined >= one.min_examined for one in verdict.invariants)
    assert min(one.examined for one in verdict.invariants if one.name not in SMALL) > 10_000
