"""A load that is not the planned one, and counters of it that are not whole: never a pass, and the reason is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from crashcart.judging import judge
from crashcart.judging.crowd import by_chance
from crashcart.model.errors import BadFile
from crashcart.model.recording import SeriesSample
from crashcart.model.verdict import Outcome, Verdict
from tests.unit.judging.recordings import MadeUp, Told

Judged = Callable[[MadeUp], Verdict]
Spoil = Callable[[MadeUp], None]
FAULT = range(25, 35)


def _troubles(verdict: Verdict) -> dict[str, str]:
    return {check.name: check.detail for check in verdict.validity if not check.ok}


def _stops_buying(run: MadeUp) -> None:
    """Sessions begin as ever, but in the fault phase two of three set out to buy nothing any more."""
    run.intents = [one for one in run.intents if int(one.planned_s) not in FAULT or int(one.id[-2:]) % 3 == 0]


def _forgets_a_cohort(run: MadeUp) -> None:
    run.spoil(_as_visa, FAULT.start, FAULT.stop)


def _as_visa(told: Told) -> None:
    told.network = "visa"


def _never_had_it(run: MadeUp) -> None:
    run.spoil(_as_visa)


def _repeats_itself(run: MadeUp) -> None:
    """The shoppers of the fault phase are those of ten seconds before, once more, with the same keys."""
    before = {one.id: one for one in run.intents}
    run.intents = [
        replace(before[f"k{int(one.planned_s) - 10:02}-{one.id[-2:]}"], planned_s=one.planned_s)
        if int(one.planned_s) in FAULT
        else one
        for one in run.intents
    ]


@pytest.mark.parametrize(
    ("spoil", "check", "said"),
    [
        (_stops_buying, "shoppers-drawn", "sessions set out to buy, 25 % were declared"),
        (_forgets_a_cohort, "shoppers-drawn", "fault: 0 of 200 purchases were of network:amex, 25 % were declared"),
        (_never_had_it, "shoppers-drawn", "warmup: 0 of 100 purchases were of network:amex"),
        (_repeats_itself, "shoppers-drawn", "the load repeated itself: 200 purchases had a key that had come before"),
    ],
)
def test_a_load_that_is_not_the_declared_one_proves_nothing(
    run: MadeUp, judged: Judged, spoil: Spoil, check: str, said: str
) -> None:
    spoil(run)
    verdict = judged(run)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert said in _troubles(verdict)[check]


def test_a_cohort_without_traffic_is_no_data_and_no_division_by_zero(run: MadeUp, judged: Judged) -> None:
    _never_had_it(run)
    quiet = [one for one in judged(run).objectives if one.cohort == "network:amex"]
    assert {one.outcome for one in quiet} == {Outcome.INCONCLUSIVE}
    assert {(one.valid, one.observed) for one in quiet} == {(0, None)}


@pytest.mark.parametrize("phase", [range(5, 25), FAULT, range(35, 60), range(60)])
def test_a_phase_without_any_purchase_is_no_data_and_no_division_by_zero(
    run: MadeUp, judged: Judged, phase: range
) -> None:
    run.intents = [one for one in run.intents if int(one.planned_s) not in phase]
    verdict = judged(run)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert not verdict.valid


def test_a_second_of_the_pace_that_is_told_twice_is_not_added_up(run: MadeUp, tmp_path: Path) -> None:
    run.finished = False
    folder = run.write(tmp_path / "run")
    with (folder / "pace.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"t": 30, "scheduled": 80, "started": 0, "ops": {}}\n')
    run.finish(folder)
    verdict = judge(folder)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "of 1 seconds the load wrote two things" in _troubles(verdict)["load-delivered"]
    assert "shoppers-drawn" not in _troubles(verdict)


def _dishonest(told: Told) -> None:
    told.outcome, told.honest = "failed", False


def test_failures_that_prometheus_lost_everywhere_are_missed_by_what_the_load_counted(
    run: MadeUp, judged: Judged
) -> None:
    """Nothing in what is left contradicts itself: cohorts add up, all ends together, nothing fell."""
    run.spoil(_dishonest, 26, 26.5)
    run.drop_series = lambda metric, labels: metric == "shopper_failures_total" and '"no"' in labels
    verdict = judged(run)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert list(_troubles(verdict)) == ["all-scraped"]
    assert 'honest="no",phase="baseline"} was not scraped, and stands at 0' in _troubles(verdict)["all-scraped"]


def test_an_edge_that_a_newer_prometheus_writes_otherwise_is_the_same_edge(run: MadeUp, judged: Judged) -> None:
    def rewritten(sample: SeriesSample) -> SeriesSample:
        return msgspec.structs.replace(sample, labels=sample.labels.replace('"le": "0.5"', '"le": "0.50"'))

    counters = [rewritten(one) for one in run._counters() if '"le": "0.5"' in one.labels]
    run.drop_series = lambda metric, labels: '"le": "0.5"' in labels
    run.series += counters
    assert "all-scraped" not in _troubles(judged(run))


def test_a_whole_metric_that_was_lost_is_missed(run: MadeUp, judged: Judged) -> None:
    run.drop_series = lambda metric, labels: metric == "shopper_lateness_seconds_bucket"
    assert "shopper_lateness_seconds_bucket" in _troubles(judged(run))["all-scraped"]


def test_a_load_that_did_not_write_down_all_that_it_counted_proves_nothing(run: MadeUp, judged: Judged) -> None:
    run.lose = lambda table, row: table == "load-counters" and row["metric"] == "shopper_failures_total"
    verdict = judged(run)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "no data: the load wrote down" in _troubles(verdict)["all-scraped"]


def test_a_line_that_is_no_counter_is_refused_with_its_number(run: MadeUp, tmp_path: Path) -> None:
    run.finished = False
    folder = run.write(tmp_path / "run")
    path = folder / "load-counters.jsonl"
    path.write_bytes(b'{"metric": 7}\n' + path.read_bytes())
    with pytest.raises(BadFile, match="not a counter of the load") as refused:
        judge(folder)
    assert refused.value.line == 1


def test_a_recording_of_before_loads_told_what_they_counted_is_judged_without(run: MadeUp, judged: Judged) -> None:
    run.summary["counted"] = None
    verdict = judged(run)
    assert verdict.outcome is Outcome.PASS
    assert "not known" in next(check.detail for check in verdict.validity if check.name == "all-scraped")


def test_what_chance_brings_once_in_a_million_is_not_chance() -> None:
    assert by_chance(50, 200, 0.25)
    assert by_chance(25, 200, 0.25)
    assert not by_chance(20, 200, 0.25)
    assert not by_chance(90, 200, 0.25)
    assert by_chance(0, 40, 0.25)
    assert not by_chance(0, 60, 0.25)
    assert by_chance(7, 7, 1.0)
    assert not by_chance(6, 7, 1.0)
    assert by_chance(0, 0, 0.25)
