from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.judging.numbers import binomial_tail, holm, met, percent, poisson_bounds, ratio_outcome
from crashcart.model.verdict import Outcome

ORDER = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASS: 2}
shares = st.integers(1, 999).map(lambda thousandths: thousandths / 1000)


@st.composite
def counts(draw: st.DrawFn, most: int = 300) -> tuple[int, int]:
    valid = draw(st.integers(1, most))
    return draw(st.integers(0, valid)), valid


@given(counts(60), shares)
def test_the_binomial_tail_is_the_sum_of_its_terms(pair: tuple[int, int], objective: float) -> None:
    good, valid = pair
    p = Fraction(objective)
    exact = sum(math.comb(valid, k) * p**k * (1 - p) ** (valid - k) for k in range(good + 1))
    assert binomial_tail(good, valid, objective) == pytest.approx(float(exact), rel=1e-9, abs=1e-300)


def test_the_binomial_tail_of_many_events_is_quick_and_finite() -> None:
    assert binomial_tail(989_000, 1_000_000, 0.99) == pytest.approx(3.4e-23, rel=0.5)
    assert binomial_tail(0, 1_000_000, 0.99) == 0.0
    assert binomial_tail(990_000, 1_000_000, 0.99) == pytest.approx(0.5, abs=0.01)


@given(counts(), shares)
def test_fewer_good_events_are_never_likelier(pair: tuple[int, int], objective: float) -> None:
    good, valid = pair
    if good:
        assert binomial_tail(good - 1, valid, objective) <= binomial_tail(good, valid, objective) + 1e-12


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.randoms())
def test_correction_does_not_depend_on_the_order_of_cohorts(p_values: list[float], random: object) -> None:
    order = list(range(len(p_values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    corrected = holm(p_values)
    assert holm([p_values[i] for i in order]) == pytest.approx([corrected[i] for i in order])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_correction_never_makes_a_finding_likelier_than_it_was(p_values: list[float]) -> None:
    assert all(corrected >= p for corrected, p in zip(holm(p_values), p_values, strict=True))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.data())
def test_a_smaller_p_value_makes_no_corrected_one_bigger(p_values: list[float], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(p_values) - 1))
    smaller = [*p_values]
    smaller[index] = data.draw(st.floats(0, p_values[index]))
    assert all(after <= before + 1e-12 for after, before in zip(holm(smaller), holm(p_values), strict=True))


def test_holm_agrees_with_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(counts(), shares, st.integers(0, 100))
def test_a_good_event_that_turns_bad_never_improves_the_outcome(
    pair: tuple[int, int], objective: float, min_events: int
) -> None:
    good, valid = pair
    if not good:
        return

    def outcome(count: int) -> Outcome:
        return ratio_outcome(count, valid, objective, min_events, binomial_tail(count, valid, objective))

    assert ORDER[outcome(good - 1)] <= ORDER[outcome(good)]


@pytest.mark.parametrize(
    ("good", "valid", "objective", "min_events", "expected"),
    [
        (100, 100, 0.99, 20, Outcome.PASS),
        (99, 100, 0.99, 20, Outcome.PASS),
        (7, 100, 0.07, 20, Outcome.PASS),
        (98, 100, 0.99, 20, Outcome.INCONCLUSIVE),
        (90, 100, 0.99, 20, Outcome.FAIL),
        (19, 19, 0.99, 20, Outcome.INCONCLUSIVE),
        (18, 18, 0.9, 20, Outcome.PASS),
        (17, 17, 0.9, 20, Outcome.INCONCLUSIVE),
        (0, 19, 0.99, 20, Outcome.FAIL),
        (0, 0, 0.99, 0, Outcome.INCONCLUSIVE),
    ],
)
def test_what_so_many_events_say(good: int, valid: int, objective: float, min_events: int, expected: Outcome) -> None:
    p_value = binomial_tail(good, valid, objective) if valid else 1.0
    assert ratio_outcome(good, valid, objective, min_events, p_value) is expected


def test_an_objective_that_is_met_exactly_is_met_whatever_the_floats_say() -> None:
    assert all(met(n, 100, n / 100) for n in range(1, 100))
    assert not met(98, 100, 0.99)


def test_a_share_is_rounded_down_so_that_a_miss_never_looks_like_a_hit() -> None:
    assert [percent(share) for share in (1.0, 0.99, 0.989999, 0.29, 0.5, 0.00001, 0.0, 0.99999)] == [
        "100 %",
        "99 %",
        "98.99 %",
        "29 %",
        "50 %",
        "under 0.01 %",
        "0 %",
        "99.99 %",
    ]


def test_poisson_bounds_hold_the_mean_and_grow_with_its_root() -> None:
    low, high = poisson_bounds(400)
    assert (low, high) == (319, 481)
    assert poisson_bounds(0) == (0.0, 1.0)
