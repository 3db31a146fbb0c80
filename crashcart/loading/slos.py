"""`stack/slos/*.yaml`, OpenSLO v1 → Slo. What of OpenSLO is read: ratio metrics of plain counter selectors.

And of one source of our own, `Books`: what is counted after the run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from crashcart.loading.decode import decode
from crashcart.loading.experiments import check_head
from crashcart.loading.yamltree import Path_, Tree, read_tree
from crashcart.model.hints import did_you_mean
from crashcart.model.slo import FAILED_ORDERS, FAILED_ORDERS_TOLD, Selector, Slo, parse_selector
from crashcart.model.units import Duration

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}")
"""It names a file of rules and stands in every report."""
_EXCLUDED = "crashcart/excluded-when-confirmed"
_ONLY_FAILURES = "crashcart/only-failures"
_SETTLED = "crashcart/settled"
_BOOKS = "books"
_FAILED_ORDERS = "failed-orders"


class _Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    name: str
    display_name: str = ""
    annotations: dict[str, str] = {}
    labels: dict[str, Any] = {}


class _SourceSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    query: str = ""
    """Of Prometheus."""
    count: str = ""
    """Of the books …"""
    told_within: Duration | None = None
    """… and of these, which are good."""


class _MetricSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    spec: _SourceSpec


class _Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    metric_source: _MetricSource


class _Ratio(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    counter: bool
    good: _Metric
    total: _Metric


class _IndicatorSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    ratio_metric: _Ratio
    description: str = ""


class _Indicator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    spec: _IndicatorSpec
    metadata: _Metadata | None = None


class _Objective(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    target: float
    display_name: str = "all"


class _Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    duration: str
    is_rolling: bool = True


class _Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    service: str
    indicator: _Indicator
    objectives: tuple[_Objective, ...]
    time_window: tuple[_Window, ...]
    budgeting_method: str
    description: str = ""


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    api_version: str
    kind: str
    metadata: _Metadata
    spec: _Spec


def read_slo(path: Path, shown_as: str, cohorts: frozenset[str]) -> Slo:
    """One SLO. `cohorts`: what the load declares, such as `network:amex`; an objective may name these and `all`."""
    tree = read_tree(path, shown_as)
    check_head(tree, "SLO", "openslo/v1")
    document = decode(tree, _Document)
    if not _NAME.fullmatch(document.metadata.name):
        what = f"metadata.name: {document.metadata.name!r} can't name an SLO"
        raise tree.error(("metadata", "name"), what, "letters, digits, - and _, such as purchase-success")
    ratio = document.spec.indicator.spec.ratio_metric
    base: Path_ = ("spec", "indicator", "spec", "ratioMetric")
    if not ratio.counter:
        raise tree.error((*base, "counter"), "ratioMetric.counter must be true", "SLIs are read from counters")
    if document.spec.budgeting_method != "Occurrences":
        raise tree.error(("spec", "budgetingMethod"), "only budgetingMethod: Occurrences is judged")
    known = {_EXCLUDED, _ONLY_FAILURES, _SETTLED}
    for key in document.metadata.annotations:
        if key.startswith("crashcart/") and key not in known:
            raise tree.error(
                ("metadata", "annotations", key), f"unknown annotation {key}", did_you_mean(key, known, "annotations")
            )
    told_within_s = _told_within_s(tree, base, ratio)
    if told_within_s is not None and known & document.metadata.annotations.keys():
        raise tree.error(("metadata", "annotations"), "annotations are for SLOs of counters", "leave them out")
    excluded = document.metadata.annotations.get(_EXCLUDED)
    settled = document.metadata.annotations.get(_SETTLED)
    return Slo(
        name=document.metadata.name,
        title=document.metadata.display_name or document.metadata.name,
        service=document.spec.service,
        good=_selector(tree, (*base, "good"), ratio.good) if told_within_s is None else FAILED_ORDERS_TOLD,
        total=_selector(tree, (*base, "total"), ratio.total) if told_within_s is None else FAILED_ORDERS,
        objectives=_objectives(tree, document.spec.objectives, cohorts),
        excluded=_parse(tree, ("metadata", "annotations", _EXCLUDED), excluded) if excluded else None,
        settled=_parse(tree, ("metadata", "annotations", _SETTLED), settled) if settled else None,
        only_failures=told_within_s is not None or document.metadata.annotations.get(_ONLY_FAILURES) == "true",
        file=shown_as,
        told_within_s=told_within_s,
    )


def _objectives(tree: Tree, objectives: tuple[_Objective, ...], cohorts: frozenset[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for index, objective in enumerate(objectives):
        path: Path_ = ("spec", "objectives", index)
        name = objective.display_name
        if name != "all" and name not in cohorts:
            raise tree.error(
                path, f"{name!r} is no declared cohort", did_you_mean(name, ["all", *sorted(cohorts)], "cohorts")
            )
        if name in found:
            raise tree.error(path, f"{name!r} has two objectives")
        if not 0 < objective.target < 1:
            raise tree.error((*path, "target"), f"target: {objective.target:g} is not between 0 and 1", "99 % is 0.99")
        found[name] = objective.target
    if "all" not in found:
        raise tree.error(("spec", "objectives"), "no objective for all", "add - displayName: all with its target")
    return found


def _told_within_s(tree: Tree, base: Path_, ratio: _Ratio) -> float | None:
    """Of an SLO that is counted in the books: within how long a shopper must have been written to. None for others."""
    sides = {"good": ratio.good.metric_source, "total": ratio.total.metric_source}
    if not any(source.type.lower() == _BOOKS for source in sides.values()):
        return None
    for side, source in sides.items():
        path: Path_ = (*base, side, "metricSource")
        if source.type.lower() != _BOOKS:
            what = f"{side} is read from {source.type}, and the other side from the books"
            raise tree.error((*path, "type"), what, "read both from one source")
        if source.spec.count != _FAILED_ORDERS or source.spec.query:
            raise tree.error((*path, "spec"), "of the books only failed orders are counted", f"count: {_FAILED_ORDERS}")
    if ratio.total.metric_source.spec.told_within is not None:
        what = "total counts every failed order, told or not"
        raise tree.error((*base, "total", "metricSource", "spec", "toldWithin"), what, "leave toldWithin out")
    within = ratio.good.metric_source.spec.told_within
    if within is None or within <= 0:
        what = "good does not say within how long a shopper must be told"
        raise tree.error((*base, "good", "metricSource", "spec"), what, "add toldWithin: 60s")
    return float(within)


def _selector(tree: Tree, path: Path_, metric: _Metric) -> Selector:
    if metric.metric_source.type.lower() != "prometheus":
        raise tree.error((*path, "metricSource", "type"), "only Prometheus and Books are read", "type: Prometheus")
    spec: Path_ = (*path, "metricSource", "spec")
    if not metric.metric_source.spec.query:
        raise tree.error(spec, "there is no query", "write query: and a counter's selector")
    if metric.metric_source.spec.count or metric.metric_source.spec.told_within is not None:
        raise tree.error(spec, "count and toldWithin are for type: Books", "leave them out")
    return _parse(tree, (*spec, "query"), metric.metric_source.spec.query)


def _parse(tree: Tree, path: Path_, query: str) -> Selector:
    try:
        return parse_selector(query)
    except ValueError as error:
        raise tree.error(path, str(error)) from error
