from __future__ import annotations

import math

import pytest

from crashcart.model.chance import exact_interval
from crashcart.selftest.alarms import Quiet, report_on


def _quiet(kind: str = "plain", outcome: str = "pass", status: int = 0, *found: str) -> Quiet:
    return Quiet(
        line=outcome, kind=kind, status=status, outcome=outcome, took_s=9.0, neighbours_busy_share=0.1, found=found
    )


def _at_most(seen: int, of: int, share: float) -> float:
    return sum(math.comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(seen + 1))


@pytest.mark.parametrize(("seen", "of"), [(0, 60), (1, 60), (5, 20), (59, 60), (100, 200)])
def test_the_intervals_ends_are_where_so_few_or_so_many_are_a_chance_of_one_in_forty(seen: int, of: int) -> None:
    low, high = exact_interval(seen, of)
    assert _at_most(seen, of, high) == pytest.approx(0.025, rel=1e-6)
    assert low == 0.0 if seen == 0 else 1 - _at_most(seen - 1, of, low) == pytest.approx(0.025, rel=1e-6)


def test_where_all_or_nothing_was_seen_an_end_is_the_end_of_all_shares() -> None:
    low, high = exact_interval(0, 60)
    assert low == 0.0
    assert high == pytest.approx(1 - 0.025 ** (1 / 60))
    assert exact_interval(60, 60) == (1 - high, 1.0)
    assert exact_interval(0, 0) == (0.0, 1.0)


def test_none_of_sixty_is_at_most_five_per_cent_one_sided() -> None:
    assert exact_interval(0, 60, confidence=0.90)[1] == pytest.approx(0.0487, abs=1e-4)


def test_sixty_that_pass_are_no_alarm() -> None:
    report = report_on({f"{number}": _quiet("noop" if number % 2 else "plain") for number in range(60)})
    assert report.found == ()
    assert report.rows == (("plain", "30", "30", "0", "0", "0"), ("noop", "30", "30", "0", "0", "0"))
    assert report.says[0].startswith("0 of 60 said anything but pass: 0.0%")
    assert "0.00% to 5.96%" in report.says[0]


def test_inconclusive_ones_are_alarms_and_shown_apart() -> None:
    report = report_on(
        {
            "1": _quiet(),
            "2": _quiet("noop", "inconclusive", 3, "2: lateness: 2 % began late"),
            "3": _quiet("plain", "fail", 1, "3: checkout-latency"),
            "4": _quiet("noop", "none", 70, "4: an error"),
        }
    )
    assert report.rows == (("plain", "2", "1", "1", "0", "0"), ("noop", "2", "0", "0", "1", "1"))
    assert report.found == ("2: lateness: 2 % began late", "3: checkout-latency", "4: an error")
    assert report.says[0].startswith("3 of 4")
    assert report.says[1].startswith("2 of 4")
    assert report.says[2].startswith("1 of 4")


def test_a_pass_with_another_exit_status_is_an_alarm() -> None:
    assert _quiet("plain", "pass", 5).is_alarm
    assert _quiet("plain", "fail", 0).is_alarm
