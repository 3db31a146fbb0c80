from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.judging.counters import Counters
from crashcart.judging.recovery import Goodput, judge_recovery
from crashcart.judging.shoppers import BySecond, Tallied
from crashcart.model.plan import PlannedRecovery
from crashcart.model.slo import Selector, parse_selector
from crashcart.model.verdict import Outcome, RecoveryResult, Verdict
from tests.unit.judging.planned import plan
from tests.unit.judging.recordings import MadeUp, Told

Judged = Callable[[MadeUp], Verdict]
PER_S = 20


def recovered(bad: dict[int, int], *, per_s: int = PER_S) -> RecoveryResult:
    """With so many purchases lost in these seconds; the fault is from 25 s to 35 s, the end at 60 s."""
    offered = dict.fromkeys(range(60), per_s)
    good = {second: per_s - bad.get(second, 0) for second in range(60)}
    result = judge_recovery(
        plan(recovery=PlannedRecovery(10.0, 10.0, 35.0, ())),
        Goodput(Tallied(offered), Tallied(good)),
        BySecond({}, {}, {}),
        Counters([]),
        unconfirmed=0,
    )
    assert result is not None
    return result


def test_a_fault_that_nobody_noticed_needs_no_recovery() -> None:
    result = recovered({})
    assert (result.outcome, result.recovered_after_s, result.breached_after_s) == (Outcome.PASS, 0.0, None)


def test_recovery_is_the_first_second_from_which_all_stays_well() -> None:
    result = recovered(dict.fromkeys(range(27, 39), 20))
    assert (result.outcome, result.recovered_after_s) == (Outcome.PASS, 4.0)
    assert result.breached_after_s == 0.0


def test_one_good_moment_is_no_recovery() -> None:
    bad = dict.fromkeys(range(26, 44), 20)
    del bad[38]
    assert recovered(bad).recovered_after_s == 9.0


def test_a_relapse_begins_it_all_again() -> None:
    result = recovered({**dict.fromkeys(range(26, 36), 20), **dict.fromkeys(range(44, 47), 20)})
    assert (result.outcome, result.recovered_after_s) == (Outcome.FAIL, 12.0)


def test_a_shop_that_never_gets_well_fails_and_is_censored() -> None:
    result = recovered(dict.fromkeys(range(26, 60), 20))
    assert (result.outcome, result.recovered_after_s, result.observed_for_s) == (Outcome.FAIL, None, 25.0)
    assert result.reason.startswith("not well again in the 25 s that were watched")


def test_being_well_for_the_last_few_seconds_is_not_enough() -> None:
    assert recovered(dict.fromkeys(range(26, 52), 20)).recovered_after_s is None


def test_one_lost_purchase_is_no_relapse() -> None:
    assert recovered({45: 1, 50: 1}).recovered_after_s == 0.0
    assert recovered({45: 1}, per_s=2).recovered_after_s == 0.0


def test_a_recovery_of_which_too_little_was_seen_is_inconclusive() -> None:
    offered = {**dict.fromkeys(range(35), PER_S), **dict.fromkeys(range(35, 60, 5), 1)}
    result = judge_recovery(
        plan(recovery=PlannedRecovery(10.0, 10.0, 35.0, ())),
        Goodput(Tallied(offered), Tallied(offered)),
        BySecond({}, {}, {}),
        Counters([]),
        unconfirmed=0,
    )
    assert result is not None
    assert result.outcome is Outcome.INCONCLUSIVE


@given(st.dictionaries(st.integers(25, 59), st.integers(0, PER_S)), st.integers(25, 59))
def test_losing_more_never_makes_a_recovery_quicker(bad: dict[int, int], second: int) -> None:
    worse = {**bad, second: PER_S}
    before, after = recovered(bad).recovered_after_s, recovered(worse).recovered_after_s
    if after is not None:
        assert before is not None
        assert before <= after


def test_slow_answers_hold_a_recovery_up(run: MadeUp, judged: Judged) -> None:
    def slow(told: Told) -> None:
        told.latency_ms = 900.0

    run.spoil(slow, 26, 39)
    verdict = judged(run)
    assert verdict.recovery is not None
    assert verdict.recovery.outcome is Outcome.PASS
    assert 3.0 <= (verdict.recovery.recovered_after_s or 0.0) <= 5.0


def test_a_recovery_that_slow_answers_keep_from_coming_fails(run: MadeUp, judged: Judged) -> None:
    def slow(told: Told) -> None:
        told.latency_ms = 900.0

    run.spoil(slow, 26, 60)
    verdict = judged(run)
    assert verdict.recovery is not None
    assert verdict.recovery.outcome is Outcome.FAIL
    assert "checkout-latency was 0 % from 50 s on" in verdict.recovery.reason


def of_all_who_came(run: MadeUp, settled: Selector | None) -> None:
    """Orders answered in time are counted over all who set out to buy, and nothing else must recover."""
    assert run.plan.recovery is not None
    slo = msgspec.structs.replace(run.plan.slos[1], total=parse_selector("shopper_intended_total"), settled=settled)
    run.plan = msgspec.structs.replace(
        run.plan,
        slos=(run.plan.slos[0], slo, run.plan.slos[2]),
        recovery=msgspec.structs.replace(run.plan.recovery, slos=(slo.name,)),
    )


@pytest.mark.parametrize(("until_s", "outcome"), [(39, Outcome.PASS), (60, Outcome.FAIL)])
def test_what_came_through_too_slowly_is_not_well_where_the_total_is_all_who_came(
    run: MadeUp, judged: Judged, until_s: int, outcome: Outcome
) -> None:
    def slow(told: Told) -> None:
        told.latency_ms = 900.0

    of_all_who_came(run, parse_selector('shopper_events_total{sli="purchase"}'))
    run.spoil(slow, 26, until_s)
    verdict = judged(run)
    assert verdict.recovery is not None
    assert verdict.recovery.outcome is outcome


def test_a_total_that_counts_ahead_of_what_is_good_tells_nothing_of_a_recovery(run: MadeUp, judged: Judged) -> None:
    of_all_who_came(run, None)
    verdict = judged(run)
    assert verdict.recovery is not None
    assert verdict.recovery.outcome is Outcome.INCONCLUSIVE
    assert "crashcart/settled" in verdict.recovery.reason


def test_a_cohort_that_stays_down_keeps_recovery_from_coming(run: MadeUp, judged: Judged) -> None:
    def amex(told: Told) -> None:
        if told.network == "amex":
            told.outcome = "failed"

    assert run.plan.recovery is not None
    run.plan = msgspec.structs.replace(
        run.plan,
        slos=(
            msgspec.structs.replace(run.plan.slos[0], objectives={"all": 0.5, "network:amex": 0.9}),
            *run.plan.slos[1:],
        ),
        recovery=msgspec.structs.replace(run.plan.recovery, goodput_ratio=0.5),
    )
    run.spoil(amex, 26, 60)
    verdict = judged(run)
    assert verdict.recovery is not None
    assert verdict.recovery.outcome is Outcome.FAIL
    assert "purchase-success of network:amex was 0 %" in verdict.recovery.reason
