"""Our burn-rate rules beside those of an established generator, of one SLO: same windows, factors, thresholds.

What Sloth makes is told here in figures: those of the rules that it publishes for its own first example, over 30 days
(github.com/slok/sloth, `examples/_gen/getting-started.yml` at 20ea5015609d, Apache-2.0).
"""

from __future__ import annotations

import re
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


SLOTHS_BUDGET = 0.0009999999999999432
SLOTHS = (
    Condition("page", "1h", "5m", 14.4, SLOTHS_BUDGET),
    Condition("page", "6h", "30m", 6.0, SLOTHS_BUDGET),
    Condition("ticket", "1d", "2h", 3.0, SLOTHS_BUDGET),
    Condition("ticket", "3d", "6h", 1.0, SLOTHS_BUDGET),
)
SLOTHS_RATIOS = {"5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"}
"""`slo:sli_error:ratio_rate…`"""
_WINDOW = re.compile(r'slo:sli_error:ratio_rate(\w+)\{slo="[\w-]+"\} > clamp_max\(([\d.]+) \* slo:error_budget:ratio')


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
    assert [one[:4] for one in _ours(SLO)] == [one[:4] for one in SLOTHS]


def test_thresholds_are_the_same_to_a_millionth() -> None:
    for ours, sloths in zip(_ours(SLO), SLOTHS, strict=True):
        assert ours.factor * ours.budget == pytest.approx(sloths.factor * sloths.budget, rel=1e-6)


def test_the_same_ratios_are_recorded_but_for_that_of_the_whole_period() -> None:
    names = [rule["record"] for rule in _rules(SLO) if "record" in rule]
    ours = {name.removeprefix("slo:sli_error:ratio_rate") for name in names if name.startswith("slo:sli_error:")}
    assert SLOTHS_RATIOS - ours == {"30d"}
    assert ours <= SLOTHS_RATIOS


def test_a_threshold_that_no_share_reaches_is_where_they_differ_on_purpose() -> None:
    """14.4 times the budget of an objective of 88 % would be 173 % of all events."""
    assert 14.4 * (1 - 0.88) > 1 > UNREACHABLE
    alerts = [rule["expr"] for rule in _rules(SLO) if "alert" in rule]
    assert all(expression.count(f", {UNREACHABLE})") == 2 for expression in alerts)
