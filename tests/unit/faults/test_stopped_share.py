from __future__ import annotations

import pytest

from crashcart.runtimes.stateshare import PAUSE_S, share_of


def _samples(*parts: tuple[float, float], step_s: float = 0.005) -> list[tuple[float, bool]]:
    """(lasts, share) one after the other, in periods of 50 ms that begin stopped."""
    found, at = [], 0.0
    for lasts_s, share in parts:
        for index in range(round(lasts_s / step_s)):
            found.append((at, index % 10 < round(share * 10)))
            at += step_s
    return found


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_the_share_is_that_of_the_time(share: float) -> None:
    assert share_of(_samples((1.0, share))) == pytest.approx(share, abs=0.02)


def test_what_was_before_it_began_is_left_out() -> None:
    assert share_of(_samples((1.0, 0.0), (0.5, 0.6))) == pytest.approx(0.6, abs=0.03)


def test_soon_after_its_end_nothing_is_seen_any_more() -> None:
    assert share_of(_samples((1.0, 0.6), (PAUSE_S + 0.05, 0.0))) == 0.0


def test_a_sample_that_comes_late_counts_for_as_long_as_it_stood() -> None:
    assert share_of([(0.0, True), (0.03, False), (0.05, True), (0.06, True), (0.1, False)]) == pytest.approx(0.8)


@pytest.mark.parametrize("samples", [[], [(0.0, True)], [(0.0, False)]])
def test_too_few_samples_show_nothing(samples: list[tuple[float, bool]]) -> None:
    assert share_of(samples) == 0.0
