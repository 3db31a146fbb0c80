"""Recording and alerting rules out of an SLO: several windows, several burn rates.

After "Alerting on SLOs", chapter 5 of Google's Site Reliability Workbook: an alert fires while both its long and its
short window burn the error budget faster than its factor. The long one makes it mean something, the short one makes it
end soon.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from crashcart.model.slo import COHORT_LABEL, Selector, Slo

UNREACHABLE = 0.9
"""No threshold is higher: of an objective of 88 %, 14.4 times the budget would be more than everything."""


WRITTEN_BY = "# Written by `crashcart dashboards build`"
"""How every file of ours begins."""


class Burn(NamedTuple):
    """Fires at `factor` times the rate that would spend the budget exactly by the end of the SLO's time."""

    factor: float
    long: str
    short: str
    severity: str
    every: str
    """How often its rules are evaluated."""


BURNS = (
    Burn(14.4, "1h", "5m", "page", "30s"),
    Burn(6, "6h", "30m", "page", "30s"),
    Burn(3, "1d", "2h", "ticket", "2m"),
    Burn(1, "3d", "6h", "ticket", "2m"),
)


class _Text(yaml.SafeDumper):
    """Texts of several lines as blocks, so that a person can read the expressions."""


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Text.add_representer(str, _represent)


def counted(slo: Slo, function: str, window: str, labels: str = "") -> tuple[str, str]:
    """PromQL for good and valid events by cohort, as they stand while they come in.

    `function` is `rate` or `increase`, `labels` further conditions such as `cohort="all"`. What the total counts ahead
    is left out, and so is what the books alone can confirm: as the gate and the guardrails have it.
    """

    def of(selector: Selector) -> str:
        return f"sum by ({COHORT_LABEL}) ({function}({_with(selector, labels)}[{window}]))"

    valid = of(slo.settled or slo.total)
    return of(slo.good), f"({valid} - {of(slo.excluded)})" if slo.excluded else valid


def rules_text(slo: Slo) -> str:
    """The rule file of an SLO that Prometheus can count, as YAML."""
    groups = [
        {"name": f"slo-{slo.name}-{every}", "interval": every, "rules": [*_recorded(slo, every), *_alerts(slo, every)]}
        for every in dict.fromkeys(burn.every for burn in BURNS)
    ]
    head = f"{WRITTEN_BY} from {slo.file}: edit that, and build again.\n"
    return head + yaml.dump({"groups": groups}, Dumper=_Text, sort_keys=False, width=10_000)


def _recorded(slo: Slo, every: str) -> list[dict[str, Any]]:
    """Before the alerts of the same group, which are evaluated after them: no alert is a round behind."""
    budgets = _budgets(slo) if every == BURNS[0].every else []
    return budgets + [_error(slo, window) for window in _windows(every)]


def _alerts(slo: Slo, every: str) -> list[dict[str, Any]]:
    return [_alert(slo, burn) for burn in BURNS if burn.every == every]


def _windows(every: str) -> list[str]:
    """Those that are evaluated so often: a window of two alerts, as often as the faster one needs it."""
    first = {window: burn.every for burn in reversed(BURNS) for window in (burn.long, burn.short)}
    return sorted((window for window, often in first.items() if often == every), key=_seconds)


def _seconds(window: str) -> int:
    return int(window[:-1]) * {"m": 60, "h": 3600, "d": 86400}[window[-1]]


def _budgets(slo: Slo) -> list[dict[str, Any]]:
    return [
        {
            "record": "slo:error_budget:ratio",
            "expr": f"vector({1 - objective:.6g})",
            "labels": {**_labels(slo), COHORT_LABEL: cohort},
        }
        for cohort, objective in slo.objectives.items()
    ]


def _error(slo: Slo, window: str) -> dict[str, Any]:
    good, valid = counted(slo, "rate", window)
    return {"record": f"slo:sli_error:ratio_rate{window}", "expr": f"1 - {good} / {valid}", "labels": _labels(slo)}


def _labels(slo: Slo) -> Mapping[str, str]:
    return {"slo": slo.name, "service": slo.service}


def _alert(slo: Slo, burn: Burn) -> dict[str, Any]:
    only = f'{{slo="{slo.name}"}}'
    threshold = f"clamp_max({burn.factor:g} * slo:error_budget:ratio{only}, {UNREACHABLE})"
    return {
        "alert": "ErrorBudgetBurn",
        "expr": f"slo:sli_error:ratio_rate{burn.long}{only} > {threshold}\n"
        f"and slo:sli_error:ratio_rate{burn.short}{only} > {threshold}\n",
        "labels": {**_labels(slo), "severity": burn.severity, "burn": f"{burn.factor:g}", "window": burn.long},
        "annotations": {
            "summary": "{{ $labels.slo }} of {{ $labels.cohort }} burns its error budget",
            "description": "{{ $value | humanizePercentage }} of its events were bad in the last "
            f"{burn.long}, and the last {burn.short} are no better. This is told at {burn.factor:g} times what its "
            f"objective can bear, or at {UNREACHABLE:.0%}.",
        },
    }


def _with(selector: Selector, labels: str) -> str:
    text = str(selector)
    if not labels:
        return text
    return f"{text[:-1]},{labels}}}" if text.endswith("}") else f"{text}{{{labels}}}"
