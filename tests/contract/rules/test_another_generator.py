"""Our burn-rate alerts and Sloth's of one SLO, over the same hours of events: both fire at the same minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from crashcart.burnrates import rules_text
from crashcart.tools import Tool, make_promtool
from tests.contract.rules.test_rules import run
from tests.unit.dashboards.test_another_generator import SLO, SLOTH

LAST_MIN = 19 * 60
BURSTS = ((360, 370, 30), (600, 1080, 1))
"""From minute to minute so many of a hundred requests a minute are bad: an outage, and a slow burn."""
OURS, THEIRS = 'ALERTS{{alertstate="firing",severity="{0}"}}', 'ALERTS{{alertstate="firing",sloth_severity="{0}"}}'


@pytest.fixture(scope="session")
def promtool() -> Tool:
    return make_promtool(print)


def _series(code: str, bad: bool) -> dict[str, str]:
    values, total = [], 0
    for minute in range(LAST_MIN + 1):
        share = sum(n for from_min, to_min, n in BURSTS if from_min <= minute < to_min)
        total += share if bad else 100 - share
        values.append(str(total))
    labels = f'job="myservice",cohort="all",code="{code}"'
    return {"series": f"http_request_duration_seconds_count{{{labels}}}", "values": " ".join(values)}


def _asked(expression: str, minute: int, *, holds: bool) -> dict[str, Any]:
    """That it comes to something then, or to nothing."""
    asked = f"count({expression}) > bool 0"
    return {"expr": asked, "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": 1}] if holds else []}


def _groups(rules: str) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load(rules)["groups"]
    return groups


def _hours(folder: Path, cases: list[dict[str, Any]]) -> Path:
    ours = rules_text(SLO)
    (folder / "ours.yml").write_text(ours, encoding="utf-8")
    (folder / "sloth.yml").write_text(SLOTH.read_text(encoding="utf-8"), encoding="utf-8")
    groups = [group["name"] for file in (ours, SLOTH.read_text(encoding="utf-8")) for group in _groups(file)]
    document = {
        "rule_files": ["ours.yml", "sloth.yml"],
        "evaluation_interval": "1m",
        "group_eval_order": groups,  # else promtool draws one, and alerts may be a minute behind what they look at
        "tests": [
            {
                "interval": "1m",
                "input_series": [_series("200", bad=False), _series("500", bad=True)],
                "promql_expr_test": cases,
            }
        ],
    }
    path = folder / "cases.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def test_both_fire_at_the_same_minutes(promtool: Tool, tmp_path: Path) -> None:
    cases = []
    for severity, fires_at, quiet_at in (("page", 370, 350), ("ticket", 1070, 300)):
        ours, theirs = OURS.format(severity), THEIRS.format(severity)
        cases += [_asked(one, fires_at, holds=True) for one in (ours, theirs)]
        cases += [_asked(one, quiet_at, holds=False) for one in (ours, theirs)]
        for minute in range(4, LAST_MIN + 1, 2):
            cases.append(_asked(f"{ours} unless on() {theirs}", minute, holds=False))
            cases.append(_asked(f"{theirs} unless on() {ours}", minute, holds=False))
    done = run(promtool, "test", "rules", _hours(tmp_path, cases).name, folder=tmp_path)
    assert done.returncode == 0, (done.stdout + done.stderr)[:2000]


def test_a_factor_that_differs_is_seen(promtool: Tool, tmp_path: Path) -> None:
    ours, theirs = OURS.format("page"), THEIRS.format("page")
    path = _hours(tmp_path, [_asked(f"{theirs} unless on() {ours}", 366, holds=False)])
    assert run(promtool, "test", "rules", path.name, folder=tmp_path).returncode == 0
    rules = (tmp_path / "ours.yml").read_text(encoding="utf-8")
    (tmp_path / "ours.yml").write_text(rules.replace("clamp_max(14.4 *", "clamp_max(60 *"), encoding="utf-8")
    done = run(promtool, "test", "rules", path.name, folder=tmp_path)
    assert done.returncode == 1
    assert "unless" in done.stdout + done.stderr
