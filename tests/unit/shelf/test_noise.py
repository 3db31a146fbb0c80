"""Whether two shares differ beyond chance."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.shelf.noise import Shares, fisher, moved


@pytest.mark.parametrize(
    ("shares", "p_value"),
    [
        (Shares(3, 4, 1, 4), 0.485714),  # Fisher's own: the lady tasting tea
        (Shares(1, 9, 11, 14), 0.002759),  # R's documentation of fisher.test, and scipy's
        (Shares(0, 10, 10, 10), 0.0000108251),
    ],
)
def test_known_tables_have_their_known_p_values(shares: Shares, p_value: float) -> None:
    assert fisher(shares) == pytest.approx(p_value, rel=1e-3)


@given(st.integers(1, 25), st.integers(1, 25), st.data())
def test_it_is_the_sum_of_all_tables_that_are_no_likelier(a: int, b: int, data: st.DataObject) -> None:
    shares = Shares(data.draw(st.integers(0, a)), a, data.draw(st.integers(0, b)), b)
    parts = shares.a_part + shares.b_part
    weights = {k: math.comb(a, k) * math.comb(b, parts - k) for k in range(max(0, parts - b), min(a, parts) + 1)}
    exact = Fraction(sum(w for w in weights.values() if w <= weights[shares.a_part]), sum(weights.values()))
    assert fisher(shares) == pytest.approx(float(exact), rel=1e-9)
    assert fisher(Shares(shares.b_part, b, shares.a_part, a)) == pytest.approx(float(exact), rel=1e-9)


def test_a_run_without_events_says_nothing() -> None:
    assert fisher(Shares(0, 0, 50, 100)) == 1.0


def test_of_many_equal_shares_that_differ_by_chance_none_moves() -> None:
    alone = Shares(95, 100, 87, 100)
    assert moved([alone])[0][1] == pytest.approx(fisher(alone))
    assert fisher(Shares(980, 1000, 966, 1000)) < 0.1, "one alone would be near"
    assert not any(beyond for beyond, _ in moved([Shares(980, 1000, 966, 1000)] * 10))


def test_large_counts_are_judged_as_well() -> None:
    assert fisher(Shares(499_000, 1_000_000, 501_000, 1_000_000)) == pytest.approx(0.0047, rel=0.05)
