"""A recording whose parts contradict each other proves nothing, however well each of them looks alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crashcart.judging import judge
from crashcart.model.errors import BadFile
from crashcart.model.verdict import Outcome, Verdict
from tests.unit.judging.recordings import MadeUp

Judged = Callable[[MadeUp], Verdict]


def _troubles(verdict: Verdict) -> dict[str, str]:
    return {check.name: check.detail for check in verdict.validity if not check.ok}


def _phases(run: MadeUp, *ends_s: float) -> dict[str, Any]:
    starts_s = (run.plan.phases[0].start_s, *ends_s[:-1])
    told = zip(run.plan.phases, starts_s, ends_s, strict=True)
    return {"phases": [{"name": one.name, "start_s": start_s, "end_s": end_s} for one, start_s, end_s in told]}


def test_a_phase_that_is_said_to_have_been_shorter_than_its_purchases_tell_is_not_believed(
    run: MadeUp, judged: Judged
) -> None:
    warmup, baseline, fault, recovery = (phase.end_s for phase in run.plan.phases)
    run.events.append(("phases", 30.0, _phases(run, warmup, baseline, fault - 9.9, recovery)))
    verdict = judged(run)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "fault: its purchases were planned from" in _troubles(verdict)["load-delivered"]


def test_an_end_that_leaves_out_a_part_of_the_load_is_not_believed(run: MadeUp, judged: Judged) -> None:
    warmup, baseline, fault, recovery = (phase.end_s for phase in run.plan.phases)
    run.events.append(("phases", 30.0, _phases(run, warmup, baseline, fault, recovery - 10.0)))
    verdict = judged(run)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "sessions were scheduled after the last phase" in _troubles(verdict)["load-delivered"]


def test_a_counter_that_is_there_in_some_phases_only_was_lost(run: MadeUp, judged: Judged) -> None:
    kept = run.drop_series
    run.drop_series = lambda metric, labels: (
        kept(metric, labels) or (metric == "shopper_failures_total" and "fault" in labels and '"no"' in labels)
    )
    verdict = judged(run)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert 'honest="no",job="load"} was lost in fault' in _troubles(verdict)["counters-whole"]


def test_books_that_hold_fewer_rows_than_were_read_are_not_whole(run: MadeUp, judged: Judged) -> None:
    run.rows_read_beyond = 1
    verdict = judged(run)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "the table orders of the books holds 1200 rows, 1201 were read" in _troubles(verdict)["recording"]


def test_a_shop_that_was_at_rest_and_was_not_proves_nothing_of_its_books(run: MadeUp, judged: Judged) -> None:
    run.events.append(("not-quiesced", 62.0, {"pending": {"orders": 3}}))
    verdict = judged(run)
    assert {one.outcome for one in verdict.invariants} == {Outcome.INCONCLUSIVE}
    assert "the shop did not come to rest (orders: 3)" in verdict.invariants[0].reason


@pytest.mark.parametrize("name", ["died", "hung", "restarted"])
def test_nobody_dies_or_hangs_without_a_name(run: MadeUp, judged: Judged, name: str) -> None:
    run.events.append((name, 30.0, {}))
    with pytest.raises(BadFile, match=f"not an event '{name}'"):
        judged(run)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_counters_that_are_no_numbers_are_no_reason_to_fall_over(run: MadeUp, judged: Judged, value: float) -> None:
    run.last_value = value
    assert judged(run).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(("told", "altered"), [('"slo":"purchase-success"', '"slo":"none"'), ('"fault"', '"f`ult"')])
def test_a_plan_that_expects_something_of_what_it_does_not_have_is_none(
    run: MadeUp, tmp_path: Path, told: str, altered: str
) -> None:
    run.finished = False
    path = run.write(tmp_path / "run") / "plan.json"
    at = path.read_text().index(told, path.read_text().index('"objectives"'))
    path.write_text(path.read_text()[:at] + altered + path.read_text()[at + len(told) :])
    with pytest.raises(BadFile, match="this is no plan: it speaks of"):
        judge(path.parent)
