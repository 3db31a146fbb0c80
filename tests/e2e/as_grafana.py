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
_LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_LABEL_VALUES = re.compile(r"label_values\((\w+), (\w+)\)")


@dataclass(frozen=True)
class Question:
    """One query of a panel, an annotation or a variable; `where` names it."""

    where: str
    expr: str
    instant: bool
    legend: str


@dataclass(frozen=True)
class Window:
    """What the dashboard shows, in seconds since 1970, and the resolution of its curves."""

    start_s: float
    end_s: float
    step_s: int = 1

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
        """The series of an answer that hold a number: neither nothing nor NaN alone."""
        expr = put_in(question.expr, {**window.own, **chosen})
        if question.instant:
            series = self._get("query", query=expr, time=f"{window.end_s:.3f}")["result"]
            return [one for one in series if not math.isnan(float(one["value"][1]))]
        words = {"start": f"{window.start_s:.3f}", "end": f"{window.end_s:.3f}", "step": str(window.step_s)}
        series = self._get("query_range", query=expr, **words)["result"]
        return [one for one in series if any(not math.isnan(float(value)) for _, value in one["values"])]

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
    """What is wrong with the answer: no numbers, or a legend with a label that the series don't have."""
    if not series:
        return [f"{question.where}: no data for {question.expr}"]
    missing = labels_of(question.legend) - set(series[0]["metric"])
    return [f"{question.where}: the legend names {sorted(missing)}, the series have none"] if missing else []


def questions(dashboard: Mapping[str, Any]) -> Iterator[Question]:
    """Everything that is asked of Prometheus for a dashboard, but its variables."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            where = f"{dashboard['title']} / {panel['title']} / {target['refId']}"
            yield Question(where, target["expr"], target.get("instant", False), target["legendFormat"])
    for annotation in dashboard["annotations"]["list"]:
        if annotation["datasource"]["type"] == "prometheus":
            where = f"{dashboard['title']} / annotation {annotation['name']}"
            legend = annotation["titleFormat"] + annotation["textFormat"]
            yield Question(where, annotation["expr"], instant=False, legend=legend)


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those that show something; not the headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def read_dashboards(folder: Path) -> list[dict[str, Any]]:
    """All dashboards of a folder."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
