"""What the SLOs' alerts are to promtool: valid, firing when they should, and quiet when they should."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from crashcart.tools import Tool, make_promtool

ROOT = Path(__file__).parents[3]
RULES = ROOT / "dashboards" / "rules"
CASES = sorted((RULES / "tests").glob("*.yaml"))


@pytest.fixture(scope="session")
def promtool() -> Tool:
    """The real one, fetched or built if need be: a second or some minutes the first time, nothing after that."""
    return make_promtool(print)


def run(promtool: Tool, *arguments: str, folder: Path = RULES) -> subprocess.CompletedProcess[str]:
    command = [str(promtool.path), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def test_the_rules_are_valid(promtool: Tool) -> None:
    done = run(promtool, "check", "rules", *(path.name for path in RULES.glob("*.yaml")))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_are_quiet_when_they_should(promtool: Tool, cases: Path) -> None:
    done = run(promtool, "test", "rules", cases.name, folder=cases.parent)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_would_not_fire_is_found_out(promtool: Tool, tmp_path: Path) -> None:
    copied = tmp_path / "rules"
    shutil.copytree(RULES, copied)
    rules = (copied / "purchase-success.yaml").read_text(encoding="utf-8")
    assert "clamp_max(3 * " in rules
    (copied / "purchase-success.yaml").write_text(rules.replace("clamp_max(3 * ", "clamp_max(90 * "), encoding="utf-8")
    done = run(promtool, "test", "rules", "purchase-success-slow.yaml", folder=copied / "tests")
    assert done.returncode == 1
    assert 'burn="3"' in done.stderr.replace("\\", "")
