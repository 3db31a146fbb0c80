"""Prometheus, narrowly: its configuration from what is to be scraped, and raw samples read back."""

from __future__ import annotations

import http.client
import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Generic, TypeVar

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
_CHUNK_BYTES = 1 << 16
_WORDS_BYTES = 300
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


class _Latest(msgspec.Struct, frozen=True):
    metric: dict[str, str]
    value: tuple[float, str]


class _Raw(msgspec.Struct, frozen=True):
    metric: dict[str, str]
    values: list[tuple[float, str]]


_Kind = TypeVar("_Kind", _Latest, _Raw)


class _Result(msgspec.Struct, Generic[_Kind], frozen=True, rename="camel"):
    result_type: str
    result: list[_Kind]


class _Labelled(msgspec.Struct, frozen=True):
    labels: dict[str, str]


class _Targets(msgspec.Struct, frozen=True, rename="camel"):
    active_targets: list[_Labelled]


class PrometheusReader:
    """Reads a Prometheus at `url`. Everything that is not a whole, well-formed answer is a ControlPlaneError."""

    def __init__(self, url: str, timeout_s: float = READ_TIMEOUT_S) -> None:
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s

    def latest(self, selector: Selector) -> Sequence[tuple[Mapping[str, str], float]]:
        """The newest value of each series selected that is still scraped: (labels with `__name__`, value)."""
        data = self._query(str(selector), self._timeout_s)
        found = self._converted(data, _Result[_Latest], str(selector), "vector").result
        self._make_sure(selector, [one.metric for one in found])
        return [(one.metric, _number(one.value[1], one.metric)) for one in found]

    def raw(
        self, selector: Selector, *, start_wall_s: float, end_wall_s: float, t0_wall_s: float
    ) -> Sequence[SeriesSample]:
        """Every sample scraped from start to end (wall clock, both included), `t` in seconds from t0."""
        samples = []
        for series in self._range(selector, start_wall_s, end_wall_s):
            labels = {key: value for key, value in series.metric.items() if key != "__name__"}
            metric, text = series.metric.get("__name__", ""), json.dumps(labels, sort_keys=True)
            told = [(at, _number(value, series.metric)) for at, value in series.values]
            samples += [
                SeriesSample(metric, text, round(at - t0_wall_s, 3), value)
                for at, value in told
                if start_wall_s <= at <= end_wall_s
            ]
        return samples

    def scrape_gaps(
        self, *, start_wall_s: float, end_wall_s: float, longest_s: float, at_least: Collection[str] = ()
    ) -> Sequence[tuple[str, float, float]]:
        """`job/instance`, from and to (wall clock) where no scrape succeeded for longer than `longest_s`.

        A target that was never scraped is one gap from start to end, and so is one of `at_least` of which nothing is
        known: what is not told of is not well.
        """
        succeeded: dict[str, list[float]] = {name: [] for name in (*at_least, *self._target_names())}
        for series in self._range(Selector("up"), start_wall_s, end_wall_s):
            times = succeeded.setdefault(_target_name(series.metric), [])
            times += [at for at, value in series.values if value == "1" and start_wall_s <= at <= end_wall_s]
        gaps = []
        for name, times in succeeded.items():
            edges = [start_wall_s, *sorted(times), end_wall_s]
            gaps += [(name, a, b) for a, b in pairwise(edges) if b - a > longest_s]
        return gaps

    def _target_names(self) -> list[str]:
        data = self._get("/api/v1/targets?state=active", self._timeout_s)
        try:
            return [_target_name(one.labels) for one in msgspec.convert(data, _Targets).active_targets]
        except msgspec.ValidationError as problem:
            raise self._error(f"did not tell of its targets: {problem}") from problem

    def _range(self, selector: Selector, start_wall_s: float, end_wall_s: float) -> list[_Raw]:
        # 2.x includes a sample exactly at the range's start, 3.x does not: ask for more, take what was meant
        span_ms = math.ceil((end_wall_s - start_wall_s + 2 * _RANGE_MARGIN_S) * 1000)
        expression = f"{selector}[{span_ms}ms]"
        data = self._query(expression, RAW_TIMEOUT_S, end_wall_s + _RANGE_MARGIN_S)
        found = self._converted(data, _Result[_Raw], expression, "matrix").result
        self._make_sure(selector, [one.metric for one in found])
        return found

    def _query(self, expression: str, timeout_s: float, at_wall_s: float | None = None) -> Any:
        words = {"query": expression, **({} if at_wall_s is None else {"time": f"{at_wall_s:.3f}"})}
        return self._get(f"/api/v1/query?{urllib.parse.urlencode(words)}", timeout_s)

    def _converted(self, data: Any, kind: type[_Result[_Kind]], expression: str, result_type: str) -> _Result[_Kind]:
        try:
            told = msgspec.convert(data, kind)
        except msgspec.ValidationError as problem:
            raise self._error(f"did not answer {expression} with a {result_type}: {problem}") from problem
        if told.result_type != result_type:
            raise self._error(f"did not answer {expression} with a {result_type}, but with a {told.result_type}")
        return told

    def _make_sure(self, selector: Selector, found: Sequence[Mapping[str, str]]) -> None:
        """What answers for somebody else, a cache for one, may give the answer to another question."""
        for labels in found:
            if selector.metric not in ("", labels.get("__name__", "")) or not selector.accepts(labels):
                raise self._error(f"was asked for {selector} and answered with {dict(labels)}")

    def _get(self, path: str, timeout_s: float) -> Any:
        until = time.monotonic() + timeout_s
        try:
            with _OPENER.open(self._url + path, timeout=timeout_s) as response:
                told = msgspec.json.decode(_read(response, until))
        except urllib.error.HTTPError as problem:
            raise self._error(f"answered with {problem.code}: {_error_of(_words_of(problem))}") from problem
        except (OSError, http.client.HTTPException, ValueError, msgspec.DecodeError, RecursionError) as problem:
            raise self._error(f"can not be read: {problem}") from problem
        if not isinstance(told, dict) or told.get("status") != "success":
            raise self._error(f"answered with an error: {_error_of(told)}")
        if told.get("warnings"):
            warnings = told["warnings"]
            words = "; ".join(map(str, warnings)) if isinstance(warnings, list) else str(warnings)
            raise self._error(f"answered in part: {words}")
        return told.get("data")

    def _error(self, what: str) -> ControlPlaneError:
        return ControlPlaneError(f"Prometheus {what}", where=self._url)


def _read(response: http.client.HTTPResponse, until: float) -> bytes:
    """The whole answer. TimeoutError where it is still coming then: one that trickles is none."""
    pieces = []
    while piece := response.read1(_CHUNK_BYTES):
        pieces.append(piece)
        if time.monotonic() > until:
            raise TimeoutError("timed out while the answer was still coming")
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(pieces)


def _words_of(problem: urllib.error.HTTPError) -> str:
    """The beginning of what was said of it, as far as that came."""
    try:
        return problem.read(_WORDS_BYTES).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return problem.reason


def _target_name(labels: Mapping[str, str]) -> str:
    return f"{labels.get('job', '')}/{labels.get('instance', '')}"


def _number(text: str, metric: Mapping[str, str]) -> float:
    """What was counted. Infinity is no count either."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        what = f"{metric.get('__name__', 'a series')} is not a number: {text[:40]}"
        raise ControlPlaneError(what, where=_target_name(metric))
    return value


def _error_of(told: Any) -> str:
    if isinstance(told, str):
        try:
            told = json.loads(told)
        except ValueError:
            return str(told)
    return str(told.get("error", told)) if isinstance(told, dict) else str(told)
