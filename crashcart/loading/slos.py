"""`stack/slos/*.yaml`, OpenSLO v1 → Slo. What of OpenSLO is read: ratio metrics of plain counter selectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from crashcart.loading.decode import decode
from crashcart.loading.experiments import check_head
from crashcart.loading.yamltree import Path_, Tree, read_tree
from crashcart.model.hints import did_you_mean
from crashcart.model.slo import Selector, Slo, parse_selector

_EXCLUDED = "crashcart/excluded-when-confirmed"
_ONLY_FAILURES = "crashcart/only-failures"
_SETTLED = "crashcart/settled"


class _Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    name: str
    display_name: str = ""
    annotations: dict[str, str] = {}
    labels: dict[str, Any] = {}


class _QuerySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    query: str


class _MetricSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    spec: _QuerySpec


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
    excluded = document.metadata.annotations.get(_EXCLUDED)
    settled = document.metadata.annotations.get(_SETTLED)
    return Slo(
        name=document.metadata.name,
        title=document.metadata.display_name or document.metadata.name,
        service=document.spec.service,
        good=_selector(tree, (*base, "good"), ratio.good),
        total=_selector(tree, (*base, "total"), ratio.total),
        objectives=_objectives(tree, document.spec.objectives, cohorts),
        excluded=_parse(tree, ("metadata", "annotations", _EXCLUDED), excluded) if excluded else None,
        settled=_parse(tree, ("metadata", "annotations", _SETTLED), settled) if settled else None,
        only_failures=document.metadata.annotations.get(_ONLY_FAILURES) == "true",
        file=shown_as,
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


def _selector(tree: Tree, path: Path_, metric: _Metric) -> Selector:
    if metric.metric_source.type.lower() != "prometheus":
        raise tree.error((*path, "metricSource", "type"), "only Prometheus is read", "type: Prometheus")
    return _parse(tree, (*path, "metricSource", "spec", "query"), metric.metric_source.spec.query)


def _parse(tree: Tree, path: Path_, query: str) -> Selector:
    try:
        return parse_selector(query)
    except (ValueError, RecursionError) as error:
        raise tree.error(path, str(error)) from error
