from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from crashcart.loadkit.desk import PURCHASE
from crashcart.loadkit.intents import INTENT_OUTCOMES
from crashcart.loadkit.metrics import ShopperMetrics
from tests.unit.load.fakes import COHORTS, OPERATIONS, samples

PHASES = ("warmup", "baseline")


@pytest.fixture
def metrics() -> ShopperMetrics:
    return ShopperMetrics(cohorts=COHORTS, phases=PHASES, outcomes={**OPERATIONS, PURCHASE: INTENT_OUTCOMES})


LABELS = ("all", "business_line:general", "business_line:photo", "network:visa", "network:mastercard", "network:amex")


def test_every_child_exists_at_zero_before_anything_happened(metrics: ShopperMetrics) -> None:
    seen = samples(metrics)
    assert set(seen.values()) == {0.0}
    for cohort in LABELS:
        for phase in PHASES:
            assert f'shopper_intended_total{{phase="{phase}",cohort="{cohort}"}}' in seen
            for honest in ("yes", "no"):
                assert f'shopper_failures_total{{honest="{honest}",phase="{phase}",cohort="{cohort}"}}' in seen
            for sli, outcomes in {**OPERATIONS, PURCHASE: INTENT_OUTCOMES}.items():
                for outcome in outcomes:
                    labels = f'sli="{sli}",outcome="{outcome}",phase="{phase}",cohort="{cohort}"'
                    assert f"shopper_events_total{{{labels}}}" in seen
                for edge in ("0.05", "0.1", "0.25", "0.5", "1", "2", "+Inf"):
                    labels = f'sli="{sli}",cohort="{cohort}",phase="{phase}",le="{edge}"'
                    assert f"shopper_latency_seconds_bucket{{{labels}}}" in seen


def test_prometheus_own_parser_reads_it(metrics: ShopperMetrics) -> None:
    metrics.event("browse", "ok", "warmup", metrics.indices({"network": "amex"}), 0.07)
    families = {family.name: family for family in text_string_to_metric_families(metrics.render().decode())}
    assert families["shopper_events"].type == "counter"
    assert families["shopper_latency_seconds"].type == "histogram"
    assert families["shopper_in_flight"].type == "gauge"
    assert sum(sample.value for sample in families["shopper_events"].samples) == 2


def test_what_is_written_down_at_the_end_is_what_was_to_be_scraped(metrics: ShopperMetrics) -> None:
    shopper = metrics.indices({"business_line": "photo", "network": "amex"})
    metrics.intended("warmup", shopper)
    metrics.event("browse", "ok", "warmup", shopper, 0.07)
    metrics.event("cart", "refused", "baseline", shopper, None)
    metrics.failure("baseline", shopper, honest=False)
    metrics.session_started("baseline", 0.003)
    families = (
        "shopper_intended",
        "shopper_events",
        "shopper_failures",
        "shopper_latency",
        "shopper_lateness",
        "shopper_sessions_started",
    )
    scraped = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.name.startswith(families) and not sample.name.endswith("_sum")
    }
    counts = list(metrics.counts())
    assert {(one.metric, frozenset(one.labels.items())): float(one.value) for one in counts} == scraped
    assert len(counts) == len(scraped)


def test_an_event_counts_for_all_and_for_each_of_its_cohorts(metrics: ShopperMetrics) -> None:
    shopper = metrics.indices({"business_line": "photo", "network": "amex"})
    metrics.event("cart", "refused", "baseline", shopper, None)
    counted = {name for name, value in samples(metrics).items() if value and name.startswith("shopper_events")}
    assert counted == {
        f'shopper_events_total{{sli="cart",outcome="refused",phase="baseline",cohort="{cohort}"}}'
        for cohort in ("all", "business_line:photo", "network:amex")
    }


def buckets(metrics: ShopperMetrics) -> list[float]:
    prefix = 'shopper_latency_seconds_bucket{sli="browse",cohort="all",phase="warmup"'
    return [value for name, value in samples(metrics).items() if name.startswith(prefix)]


def test_a_latency_at_an_edge_is_within_it_and_buckets_add_up(metrics: ShopperMetrics) -> None:
    for latency_s in (0.01, 0.1, 0.100001, 3.0):
        metrics.event("browse", "ok", "warmup", metrics.indices({}), latency_s)
    assert buckets(metrics) == [1, 2, 3, 3, 3, 3, 4]


def test_a_failed_event_is_over_every_threshold(metrics: ShopperMetrics) -> None:
    metrics.event("browse", "timeout", "warmup", metrics.indices({}), None)
    assert buckets(metrics) == [0, 0, 0, 0, 0, 0, 1]


def test_what_was_not_declared_is_an_error_of_ours(metrics: ShopperMetrics) -> None:
    with pytest.raises(KeyError):
        metrics.event("browse", "sold_out", "warmup", (0,), 0.1)
    with pytest.raises(KeyError):
        metrics.indices({"network": "diners"})


def test_label_values_are_escaped(tmp_path: Path) -> None:
    odd = ShopperMetrics(cohorts={"odd": {'a"\\\nb': 1.0}}, phases=["warmup"], outcomes={"browse": ("ok",)})
    cohorts = {
        sample.labels["cohort"]
        for family in text_string_to_metric_families(odd.render().decode())
        for sample in family.samples
        if "cohort" in sample.labels
    }
    assert cohorts == {"all", 'odd:a"\\\nb'}
