"""Asks a Prometheus what Grafana would ask it for a dashboard, with Grafana's own variables put in."""

from __future__ import annotations

import json
import math
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRAPE_S = 1
"""The data source's `timeInterval`: how often a run's Prometheus scrapes."""
SEEN_WITHIN_S = 2.5
"""Of a change: the harness notes it within a tick, and it is scraped each second."""
_LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_LABEL_VALUES = re.compile(r"label_values\((\w+), (\w+)\)")
_SHARE_OR_QUANTILE = re.compile(r" / .*\b(?:rate|increase)\(|\bhistogram_quantile\(")


@dataclass(frozen=True)
class Question:
    """One query of a panel, an annotation or a variable; `where` names it."""

    where: str
    expr: str
    instant: bool
    legend: str
    gaps: bool = False
    """A share or a quantile of events: NaN at moments without any, where Grafana draws nothing. All else is numbers."""


@dataclass(frozen=True)
class Window:
    """What the dashboard shows, in seconds since 1970, and the resolution of its curves."""

    start_s: float
    end_s: float
    step_s: int = 1

    @property
    def seconds(self) -> list[float]:
        """Since 1970, to the millisecond: the moments that a curve has a value for."""
        steps = int((self.end_s - self.start_s) // self.step_s) + 1
        return [round(self.start_s + index * self.step_s, 3) for index in range(steps)]

    @property
    def own(self) -> dict[str, str]:
        """Grafana's own variables."""
        return {
            "__rate_interval": f"{max(self.step_s + SCRAPE_S, 4 * SCRAPE_S)}s",
            "__interval": f"{self.step_s}s",
            "__range": f"{round(self.end_s - self.start_s)}s",
        }


class AsGrafana:
    """Answers for one Prometheus."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def answers(self, question: Question, window: Window, chosen: Mapping[str, str]) -> list[dict[str, Any]]:
        """The series that Prometheus gives; what is wrong with them, `complaints` says."""
        expr = put_in(question.expr, {**window.own, **chosen})
        if question.instant:
            words = {"time": f"{window.end_s:.3f}"}
        else:
            words = {"start": f"{window.start_s:.3f}", "end": f"{window.end_s:.3f}", "step": str(window.step_s)}
        series: list[dict[str, Any]] = self._get("query" if question.instant else "query_range", query=expr, **words)[
            "result"
        ]
        return series

    def choices(self, dashboard: Mapping[str, Any]) -> dict[str, list[str]]:
        """What each variable of the dashboard offers."""
        found = {}
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                match = _LABEL_VALUES.fullmatch(variable["query"]["query"])
                assert match is not None, f"{variable['name']}: not a label_values(metric, label)"
                found[variable["name"]] = self._get(f"label/{match[2]}/values", **{"match[]": match[1]})
        return found

    def _get(self, path: str, **words: str) -> Any:
        with self._open(f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(words)}", timeout=10) as response:
            return json.loads(response.read())["data"]


def all_of(choices: Mapping[str, list[str]]) -> dict[str, str]:
    """ "All" as Grafana writes it into a regular expression."""
    return {name: f"({'|'.join(map(re.escape, values))})".replace("\\", "\\\\") for name, values in choices.items()}


def put_in(expr: str, values: Mapping[str, str]) -> str:
    """The query with every `$name` and `${name}` filled in; KeyError for one that nobody knows."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: values[found[1] or found[2]], expr)


def labels_of(legend: str) -> set[str]:
    """The labels that a legend shows."""
    return set(_LEGEND.findall(legend))


def complaints(question: Question, series: list[dict[str, Any]]) -> list[str]:
    """What is wrong with the answer: no series, or one without a number, with one that is none, or without a label."""
    if not series:
        return [f"{question.where}: no data for {question.expr}"]
    return [f"{question.where}: {wrong} in {one['metric']}" for one in series for wrong in _wrong_with(question, one)]


def numbers(one: Mapping[str, Any]) -> dict[float, float]:
    """Of a series, by the moment in seconds since 1970, to the millisecond."""
    return {round(float(time), 3): float(value) for time, value in one.get("values") or [one["value"]]}


def wrongly_shown(shown: Mapping[float, float], window: Window, injected_s: float, undone_s: float) -> list[str]:
    """Where a curve is not 1 while a fault was there, or is not 0 (or nothing) while it was not.

    When exactly it changes is up to the scrape: for `SEEN_WITHIN_S` after each change either is right.
    """
    by_then = {"before": 0.0, "during": 1.0, "after": 0.0}
    looked, wrong = dict.fromkeys(by_then, 0), []
    for second in window.seconds:
        when = _when(second, injected_s, undone_s)
        if when is None:
            continue
        looked[when] += 1
        if (value := shown.get(second, 0.0)) != by_then[when]:
            wrong.append(f"{value:g} {second - injected_s:+.1f} s from the fault's injection, {when} it")
    return wrong + [f"nothing to look at {when} the fault" for when, seconds in looked.items() if not seconds]


def _when(second: float, injected_s: float, undone_s: float) -> str | None:
    if second < injected_s:
        return "before"
    if injected_s + SEEN_WITHIN_S <= second <= undone_s:
        return "during"
    return "after" if second >= undone_s + SEEN_WITHIN_S else None


def _wrong_with(question: Question, one: Mapping[str, Any]) -> Iterator[str]:
    if missing := labels_of(question.legend) - set(one["metric"]):
        yield f"the legend names {sorted(missing)}, of which there is none"
    values = numbers(one).values()
    if any(map(math.isinf, values)):
        yield "an infinite value"
    if all(map(math.isnan, values)):
        yield f"no data for {question.expr}"
    elif any(map(math.isnan, values)) and not question.gaps:
        yield "a value that is no number"


def questions(dashboard: Mapping[str, Any]) -> Iterator[Question]:
    """Everything that is asked of Prometheus for a dashboard, but its variables."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            where = f"{dashboard['title']} / {panel['title']} / {target['refId']}"
            yield _asked(where, target["expr"], target["legendFormat"], instant=target.get("instant", False))
    for annotation in dashboard["annotations"]["list"]:
        if annotation["datasource"]["type"] == "prometheus":
            where = f"{dashboard['title']} / annotation {annotation['name']}"
            legend = annotation["titleFormat"] + annotation["textFormat"]
            yield _asked(where, annotation["expr"], legend, instant=False)


def _asked(where: str, expr: str, legend: str, *, instant: bool) -> Question:
    return Question(where, expr, instant, legend, gaps=_SHARE_OR_QUANTILE.search(expr) is not None)


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those that show something; not the headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def read_dashboards(folder: Path) -> list[dict[str, Any]]:
    """All dashboards of a folder."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
