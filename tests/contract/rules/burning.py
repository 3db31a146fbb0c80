"""What every SLO's alerts must do, made of the SLO alone, for `promtool test rules`: when they fire, and when not.

The table is that of docs/47-dashboards.md, after chapter 5 of Google's Site Reliability Workbook, written again: what
the rules are made from is not asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from crashcart.model.slo import COHORT_LABEL, Selector, Slo

HOUR_S = 3600


class Row(NamedTuple):
    """Fires while more than `factor` times the budget is bad, over the long window and over the short one."""

    factor: str
    long: str
    long_s: int
    short_s: int
    severity: str


TABLE = (
    Row("14.4", "1h", HOUR_S, HOUR_S // 12, "page"),
    Row("6", "6h", 6 * HOUR_S, HOUR_S // 2, "page"),
    Row("3", "1d", 24 * HOUR_S, 2 * HOUR_S, "ticket"),
    Row("1", "3d", 72 * HOUR_S, 6 * HOUR_S, "ticket"),
)
HIGHEST = 0.9
"""No threshold is above."""
OVER, UNDER = 1.08, 0.92
"""Of a threshold: what fires, and what is quiet."""
EVENTS, LEFT_OUT = 1000, 500
"""From sample to sample: those that count, and of those that the SLO leaves out."""
STEADY_S, STEADY_UNTIL_S = 60, 600
SOONEST = 0.25
"""Of the long window, an outage must have lasted so long for an alert to fire."""
FIRING = (
    "count by (slo, service, cohort, severity, burn, window) "
    '(ALERTS{alertname="ErrorBudgetBurn",alertstate="firing",burn=~"%s"})'
)


class Counter(NamedTuple):
    """A metric and its labels, but for the cohort."""

    metric: str
    labels: tuple[tuple[str, str], ...]

    def of(self, cohort: str) -> str:
        """As promtool reads it."""
        return self.metric + _shown({**dict(self.labels), COHORT_LABEL: cohort})


class Counters(NamedTuple):
    """What is counted where. `rest` counts bad events, or with `rest_is_all` good and bad ones, as histograms do."""

    good: Counter
    rest: Counter
    rest_is_all: bool
    left_out: Counter | None


def threshold(row: Row, objective: float) -> float:
    """A share of bad events."""
    return min(float(row.factor) * (1 - objective), HIGHEST)


def files(slo: Slo, rules: Path, folder: Path) -> list[Path]:
    """Written: one file for the thresholds, and one for the windows of each alert."""
    groups = [group["name"] for group in yaml.safe_load(rules.read_text(encoding="utf-8"))["groups"]]
    head = {"rule_files": [str(rules)], "group_eval_order": groups}
    documents = {"thresholds": {"evaluation_interval": f"{STEADY_UNTIL_S}s", "tests": list(_thresholds(slo))}}
    for row in TABLE:
        every = f"{row.short_s // 2}s"
        documents[f"windows-{row.long}"] = {"evaluation_interval": every, "tests": [_windows(slo, row)]}
    written = []
    for name, document in documents.items():
        path = folder / f"{slo.name}-{name}.yaml"
        path.write_text(yaml.safe_dump({**head, **document}), encoding="utf-8")
        written.append(path)
    return written


def _thresholds(slo: Slo) -> Iterator[dict[str, Any]]:
    """Evenly for as long as one looks: then every window has the same share, and exactly those below it fire."""
    for row, side in product(TABLE, (OVER, UNDER)):
        bad = {cohort: side * threshold(row, objective) for cohort, objective in slo.objectives.items()}
        burns = [
            (cohort, one)
            for cohort, objective in slo.objectives.items()
            for one in TABLE
            if bad[cohort] > threshold(one, objective)
        ]
        samples = STEADY_UNTIL_S // STEADY_S
        yield {
            "name": f"{slo.name}: {side:g} of what burns {row.factor} times",
            "interval": f"{STEADY_S}s",
            "input_series": _series(slo, {cohort: [share] * samples for cohort, share in bad.items()}),
            "promql_expr_test": [_asked(slo, FIRING % ".+", STEADY_UNTIL_S, burns)],
        }


def _windows(slo: Slo, row: Row) -> dict[str, Any]:
    """Health for the long window, an outage as long as that, and health again.

    Soon after it began the short window alone is full of it: quiet. Soon after its end the long one alone: quiet again.
    """
    step_s, steps = row.short_s // 6, row.long_s // (row.short_s // 6)
    one_of_each = {objective: cohort for cohort, objective in reversed(slo.objectives.items())}
    shares = {cohort: _outage(row, objective) for objective, cohort in one_of_each.items()}
    bad = {cohort: [0.0] * steps + [share] * steps + [0.0] * 12 for cohort, share in shares.items()}
    cases = []
    for shorts in (2, 3.5, 12, 12.5, 13):
        at_s = row.long_s + round(shorts * row.short_s)
        burns = [
            (cohort, row)
            for cohort, each in bad.items()
            if all(
                _mean(each[: at_s // step_s], window_s // step_s) > threshold(row, slo.objectives[cohort])
                for window_s in (row.long_s, row.short_s)
            )
        ]
        cases.append(_asked(slo, FIRING % row.factor, at_s, burns))
    return {
        "name": f"{slo.name}: an outage of {row.long}",
        "interval": f"{step_s}s",
        "input_series": _series(slo, bad),
        "promql_expr_test": cases,
    }


def _outage(row: Row, objective: float) -> float:
    return min(threshold(row, objective) / SOONEST, 1.0)


def _mean(shares: Sequence[float], last: int) -> float:
    return sum(shares[-last:]) / last


def _asked(slo: Slo, expr: str, at_s: int, burns: Iterable[tuple[str, Row]]) -> dict[str, Any]:
    samples = []
    for cohort, row in burns:
        labels = {"slo": slo.name, "service": slo.service, "cohort": cohort}
        labels |= {"severity": row.severity, "burn": row.factor, "window": row.long}
        samples.append({"labels": _shown(labels), "value": 1})
    return {"expr": expr, "eval_time": f"{at_s}s", "exp_samples": samples}


def _series(slo: Slo, bad: Mapping[str, Sequence[float]]) -> list[dict[str, str]]:
    """Counters of every cohort, of which so large a share is bad from sample to sample."""
    counters, found = counters_of(slo), []
    for cohort, shares in bad.items():
        added = {
            counters.good: [EVENTS * (1 - share) for share in shares],
            counters.rest: [EVENTS * (1.0 if counters.rest_is_all else share) for share in shares],
        }
        if counters.left_out:
            added[counters.left_out] = [float(LEFT_OUT)] * len(shares)
        for counter, each in added.items():
            found.append({"series": counter.of(cohort), "values": " ".join(_counted(each))})
    return found


def _counted(each: Sequence[float]) -> Iterator[str]:
    total = 0.0
    yield "0"
    for more in each:
        total += more
        yield f"{total:.10g}"


def counters_of(slo: Slo) -> Counters:
    """Such that each counts what its name says, found by trying.

    AssertionError where nothing that we can think of does.
    """
    valid, out = slo.settled or slo.total, (slo.excluded,) if slo.excluded else ()
    left_out = _fitting((*out, valid), (slo.good,)) if out else None
    assert bool(left_out) == bool(out), f"{slo.name}: no event is left out"
    rest = _fitting((valid,), (slo.good, *out))
    assert rest is not None, f"{slo.name}: no event is bad"
    if good := _fitting((slo.good, valid), out):
        return Counters(good, rest, False, left_out)
    good = _fitting((slo.good,), out)
    assert good is not None, f"{slo.name}: no event is good"
    return Counters(good, rest, True, left_out)


def _fitting(accepting: Sequence[Selector], refusing: Sequence[Selector]) -> Counter | None:
    """The first that all of these select and none of those. Tried are the words in the selectors, another, and none."""
    [metric, *others] = {selector.metric for selector in accepting}
    if others:
        return None
    refusing = [selector for selector in refusing if selector.metric == metric]
    words: dict[str, list[str]] = {}
    for matcher in (one for selector in (*accepting, *refusing) for one in selector.matchers):
        words.setdefault(matcher.label, []).extend(re.split(r"[|()]+", matcher.value))
    for values in product(*([*filter(None, each), "another", ""] for each in words.values())):
        labels = {label: value for label, value in zip(words, values, strict=True) if value}
        if all(one.accepts(labels) for one in accepting) and not any(one.accepts(labels) for one in refusing):
            return Counter(metric, tuple(labels.items()))
    return None


def _shown(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"
