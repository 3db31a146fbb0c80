"""Two defects of the shop, for real: each is caught by its check, and the same run without it passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.loading import open_project
from crashcart.selftest.planted import FOLDER, read_planted
from tests.e2e.conftest import ROOT, Harness

NAMES = ("rounding", "double-click")
SHORT = """\
apiVersion: crashcart/v1
kind: Defects
settings:
  short:
    experiment: steady-state
    set:
      - timeline.warmup=4s
      - timeline.baseline=8s
      - 'expect.baseline=[{slo: browse-availability, cohorts: {"network:amex": null}}]'
defects:
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_each_is_caught_and_the_clean_shop_passes(shop: Harness, tmp_path: Path) -> None:
    planted = read_planted(ROOT / FOLDER, open_project(ROOT))
    (tmp_path / "defects").mkdir()
    text = SHORT
    for name in NAMES:
        defect = planted.defects[name]
        text += f"  {name}: {{is: {defect.is_}, service: {defect.service}, shown-by: short, "
        text += f'caught-by: {defect.caught_by}, command: ["{{python}}", -m, {defect.command[-1]}]}}\n'
    (tmp_path / "defects" / "defects.yaml").write_text(text, encoding="utf-8")
    out = tmp_path / "out"
    done = shop.call("selftest", "--defects", str(tmp_path / "defects"), "--out", str(out), timeout_s=380.0)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 defects were caught by the check that should catch them" in done.stdout
    assert "1 of 1 runs with nothing planted" in done.stdout
    assert (out / "selftest.md").read_text(encoding="utf-8").count("| caught |") == 2
    assert shop.active_runs() == []
