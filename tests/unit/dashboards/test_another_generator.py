"""Our burn-rate rules beside those of an established generator, of one SLO: same windows, factors, thresholds.

`sloth/rules.yml` is what Sloth v0.12.0 (github.com/slok/sloth, Apache-2.0) made of `sloth/slo.yml`, the SLO below in
its own words, by

    go install -ldflags "-X github.com/slok/sloth/internal/info.Version=v0.12.0" github.com/slok/sloth/cmd/sloth@v0.12.0
    sloth generate --default-slo-period 30d -i slo.yml -o rules.yml
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from crashcart.burnrates import UNREACHABLE, rules_text
from crashcart.model.slo import Slo, parse_selector

REQUESTS = 'http_request_duration_seconds_count{job="myservice"'
SLO = Slo(
    "requests-availability",
    "Requests that were answered",
    "myservice",
    parse_selector(f'{REQUESTS},code!~"(5..|429)"}}'),
    parse_selector(f"{REQUESTS}}}"),
    {"all": 0.999},
)


class Condition(NamedTuple):
    """Over both windows, a larger share than factor × budget of all events is bad."""

    severity: str
    long: str
    short: str
    factor: float
    budget: float


SLOTH = Path(__file__).with_name("sloth") / "rules.yml"
_WINDOW = re.compile(r'slo:sli_error:ratio_rate(\w+)\{slo="[\w-]+"\} > clamp_max\(([\d.]+) \* slo:error_budget:ratio')
_SLOTHS_WINDOW = re.compile(r"max\(slo:sli_error:ratio_rate(\w+)\{[^}]*\} > \(([\d.]+) \* ([\d.]+)\)\)")


def _sloths_rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(SLOTH.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _sloths() -> list[Condition]:
    """Each alert has two, joined by `or`; of each the short window comes first."""
    found = []
    for rule in _sloths_rules():
        if "alert" in rule:
            sides = _SLOTHS_WINDOW.findall(rule["expr"])
            for (short, factor, budget), (long, again, same) in zip(sides[::2], sides[1::2], strict=True):
                assert (factor, budget) == (again, same)
                found.append(Condition(rule["labels"]["sloth_severity"], long, short, float(factor), float(budget)))
    return found


def _recorded(rules: list[dict[str, Any]]) -> set[str]:
    """Windows of which the bad share is recorded."""
    prefix = "slo:sli_error:ratio_rate"
    names = [str(rule["record"]) for rule in rules if "record" in rule]
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


def _rules(slo: Slo) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(rules_text(slo))["groups"] for rule in group["rules"]]


def _ours(slo: Slo) -> list[Condition]:
    rules = _rules(slo)
    [budget] = [rule["expr"] for rule in rules if rule.get("record") == "slo:error_budget:ratio"]
    found = []
    for rule in rules:
        if "alert" in rule:
            (long, factor), (short, again) = _WINDOW.findall(rule["expr"])
            assert factor == again
            share = float(budget.removeprefix("vector(").removesuffix(")"))
            found.append(Condition(rule["labels"]["severity"], long, short, float(factor), share))
    return found


def test_windows_and_factors_are_the_same() -> None:
    assert [one[:4] for one in _ours(SLO)] == [one[:4] for one in _sloths()]
    assert len(_sloths()) == 4


def test_thresholds_are_the_same_to_a_millionth() -> None:
    for ours, sloths in zip(_ours(SLO), _sloths(), strict=True):
        assert ours.factor * ours.budget == pytest.approx(sloths.factor * sloths.budget, rel=1e-6)


def test_the_same_ratios_are_recorded_but_for_that_of_the_whole_period() -> None:
    ours, sloths = _recorded(_rules(SLO)), _recorded(_sloths_rules())
    assert sloths - ours == {"30d"}
    assert ours <= sloths


def test_a_threshold_that_no_share_reaches_is_where_they_differ_on_purpose() -> None:
    """14.4 times the budget of an objective of 88 % would be 173 % of all events."""
    assert 14.4 * (1 - 0.88) > 1 > UNREACHABLE
    alerts = [rule["expr"] for rule in _rules(SLO) if "alert" in rule]
    assert all(expression.count(f", {UNREACHABLE})") == 2 for expression in alerts)
