"""Prometheus, narrowly: its configuration from what is to be scraped, and raw samples read back."""

from __future__ import annotations

import http.client
import json
import math
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from crashcart.model.errors import ControlPlaneError
from crashcart.model.recording import SeriesSample
from crashcart.model.slo import Selector

SCRAPE_INTERVAL_S = 1.0
_TIMEOUT_SHARE = 0.9
READ_TIMEOUT_S = 2.0
RAW_TIMEOUT_S = 30.0
"""Everything of a run at once is more than a look at the latest value."""

_RANGE_MARGIN_S = 1.0
# the unmodified opener would honour HTTP_PROXY
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Target(msgspec.Struct, frozen=True):
    """One thing to scrape: `job` is a service's name, `instance` one of its replicas, `address` host:port."""

    job: str
    instance: str
    address: str


def scrape_config(
    targets: Iterable[Target], *, interval_s: float = SCRAPE_INTERVAL_S, rule_files: Sequence[str] = ()
) -> str:
    """The text of `prometheus.yml` (JSON, which is YAML): `instance` as we call it, time-outs below the interval."""
    jobs: dict[str, list[dict[str, object]]] = {}
    for target in targets:
        labels = {"instance": target.instance}
        jobs.setdefault(target.job, []).append({"targets": [target.address], "labels": labels})
    document = {
        "global": {
            "scrape_interval": f"{interval_s * 1000:.0f}ms",
            "scrape_timeout": f"{interval_s * _TIMEOUT_SHARE * 1000:.0f}ms",
        },
        **({"rule_files": list(rule_files)} if rule_files else {}),
        "scrape_configs": [{"job_name": job, "static_configs": configs} for job, configs in jobs.items()],
    }
    return json.dumps(document, indent=1) + "\n"


class PrometheusReader:
    """Reads a Prometheus at `url`. Everything that is not a whole, well-formed answer is a ControlPlaneError."""

    def __init__(self, url: str, timeout_s: float = READ_TIMEOUT_S) -> None:
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s

    def latest(self, selector: Selector) -> Sequence[tuple[Mapping[str, str], float]]:
        """The newest value of each series selected that is still scraped: (labels with `__name__`, value)."""
        return [
            (series["metric"], _number(series["value"][1], series["metric"]))
            for series in self._query(str(selector), "vector", self._timeout_s)
        ]

    def raw(
        self, selector: Selector, *, start_wall_s: float, end_wall_s: float, t0_wall_s: float
    ) -> Sequence[SeriesSample]:
        """Every sample scraped from start to end (wall clock, both included), `t` in seconds from t0."""
        samples = []
        for series in self._range(str(selector), start_wall_s, end_wall_s):
            labels = {key: value for key, value in series["metric"].items() if key != "__name__"}
            metric, text = series["metric"].get("__name__", ""), json.dumps(labels, sort_keys=True)
            samples += [
                SeriesSample(metric, text, round(at - t0_wall_s, 3), _number(value, series["metric"]))
                for at, value in series["values"]
                if start_wall_s <= at <= end_wall_s
            ]
        return samples

    def scrape_gaps(
        self, *, start_wall_s: float, end_wall_s: float, longest_s: float
    ) -> Sequence[tuple[str, float, float]]:
        """`job/instance`, from and to (wall clock) where no scrape succeeded for longer than `longest_s`.

        A target that was never scraped is one gap from start to end.
        """
        succeeded: dict[str, list[float]] = {name: [] for name in self._target_names()}
        for series in self._range("up", start_wall_s, end_wall_s):
            times = succeeded.setdefault(_target_name(series["metric"]), [])
            times += [at for at, value in series["values"] if value == "1" and start_wall_s <= at <= end_wall_s]
        gaps = []
        for name, times in succeeded.items():
            edges = [start_wall_s, *sorted(times), end_wall_s]
            gaps += [(name, a, b) for a, b in pairwise(edges) if b - a > longest_s]
        return gaps

    def _target_names(self) -> list[str]:
        data = self._get("/api/v1/targets?state=active", self._timeout_s)
        try:
            return [_target_name(target["labels"]) for target in data["activeTargets"]]
        except (KeyError, TypeError) as problem:
            raise self._error(f"told of its targets without {problem}") from problem

    def _range(self, selector: str, start_wall_s: float, end_wall_s: float) -> list[dict[str, Any]]:
        # 2.x includes a sample exactly at the range's start, 3.x does not: ask for more, take what was meant
        span_ms = math.ceil((end_wall_s - start_wall_s + 2 * _RANGE_MARGIN_S) * 1000)
        return self._query(f"{selector}[{span_ms}ms]", "matrix", RAW_TIMEOUT_S, end_wall_s + _RANGE_MARGIN_S)

    def _query(
        self, expression: str, result_type: str, timeout_s: float, at_wall_s: float | None = None
    ) -> list[dict[str, Any]]:
        words = {"query": expression, **({} if at_wall_s is None else {"time": f"{at_wall_s:.3f}"})}
        data = self._get(f"/api/v1/query?{urllib.parse.urlencode(words)}", timeout_s)
        if (
            not isinstance(data, dict)
            or data.get("resultType") != result_type
            or not isinstance(data.get("result"), list)
        ):
            raise self._error(f"did not answer {expression} with a {result_type}")
        result: list[dict[str, Any]] = data["result"]
        return result

    def _get(self, path: str, timeout_s: float) -> Any:
        try:
            with _OPENER.open(self._url + path, timeout=timeout_s) as response:
                told = json.loads(response.read())
        except urllib.error.HTTPError as problem:
            words = problem.read().decode("utf-8", "replace")[:300]
            raise self._error(f"answered with {problem.code}: {_error_of(words)}") from problem
        except (OSError, http.client.HTTPException, ValueError) as problem:
            raise self._error(f"can not be read: {problem}") from problem
        if not isinstance(told, dict) or told.get("status") != "success":
            raise self._error(f"answered with an error: {_error_of(told)}")
        if told.get("warnings"):
            raise self._error(f"answered in part: {'; '.join(map(str, told['warnings']))}")
        return told.get("data")

    def _error(self, what: str) -> ControlPlaneError:
        return ControlPlaneError(f"Prometheus {what}", where=self._url)


def _target_name(labels: Mapping[str, str]) -> str:
    return f"{labels.get('job', '')}/{labels.get('instance', '')}"


def _number(text: str, metric: Mapping[str, str]) -> float:
    value = float(text)
    if math.isnan(value):
        raise ControlPlaneError(f"{metric.get('__name__', 'a series')} is not a number", where=_target_name(metric))
    return value


def _error_of(told: Any) -> str:
    if isinstance(told, str):
        try:
            told = json.loads(told)
        except ValueError:
            return str(told)
    return str(told.get("error", told)) if isinstance(told, dict) else str(told)
