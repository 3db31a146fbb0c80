from __future__ import annotations

from itertools import islice, pairwise

import pytest

from crashcart.loadkit.arrivals import arrivals
from crashcart.loadkit.shoppers import Crowd
from crashcart.loadkit.streams import ARRIVALS, key_for, stream
from crashcart.model.load import LoadProgram
from crashcart.model.plan import Phase
from crashcart.model.profiles import PROFILES, expected_count

PHASES = (Phase("warmup", 0, 10), Phase("baseline", 10, 30), Phase("fault", 30, 50), Phase("recovery", 50, 80))
PROGRAM = LoadProgram(
    api_version="crashcart/v1",
    kind="Load",
    command=("true",),
    purchase_share=0.3,
    cohorts={
        "business_line": {"general": 0.9, "photo": 0.1},
        "network": {"visa": 0.7, "mastercard": 0.25, "amex": 0.05},
    },
)


def times(profile: str, seed: int, per_s: float = 100.0) -> list[float]:
    return list(arrivals(PROFILES[profile], per_s, PHASES, stream(seed, -1, ARRIVALS)))


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_the_same_seed_brings_the_same_arrivals_and_another_seed_others(profile: str) -> None:
    assert times(profile, 7) == times(profile, 7)
    assert times(profile, 7) != times(profile, 8)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_arrivals_come_in_order_and_within_the_timeline(profile: str) -> None:
    came = times(profile, 7)
    assert came == sorted(came)
    assert came[0] >= 0
    assert came[-1] < 80


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_arrivals_in_each_second_are_poisson_around_the_profile(profile: str) -> None:
    """Chi-square over 80 bins: its 0.1 % and 99.9 % points are 45.3 and 124.8."""
    came = times(profile, 7)
    chi_square = 0.0
    for second in range(80):
        expected = expected_count(PROFILES[profile], 100, PHASES, second, second + 1)
        seen = sum(second <= at_s < second + 1 for at_s in came)
        chi_square += (seen - expected) ** 2 / expected
    assert 45.3 < chi_square < 124.8


def test_gaps_between_steady_arrivals_are_exponential() -> None:
    """Chi-square over ten equally likely classes of gaps: 27.9 is the 99.9 % point at 9 degrees of freedom."""
    came = times("steady", 7)
    gaps = [later - earlier for earlier, later in pairwise(came)]
    classes = [0] * 10
    for gap in gaps:
        classes[min(int((1 - 2.718281828459045 ** (-gap * 100)) * 10), 9)] += 1
    expected = len(gaps) / 10
    assert sum((seen - expected) ** 2 / expected for seen in classes) < 27.9


def test_a_day_of_arrivals_is_drawn_only_as_it_is_lived() -> None:
    day = (Phase("run", 0, 86_400),)
    endless = arrivals(PROFILES["steady"], 1e6, day, stream(1, -1, ARRIVALS))
    assert len(list(islice(endless, 5))) == 5


def test_a_stream_belongs_to_one_shopper_and_one_purpose() -> None:
    first = stream(7, 3, "basket").random()
    assert stream(7, 3, "basket").random() == first
    others = (stream(8, 3, "basket"), stream(7, 4, "basket"), stream(7, 3, "retry"))
    assert all(other.random() != first for other in others)


def test_drawing_from_the_retry_stream_changes_no_other_stream() -> None:
    crowd = Crowd(PROGRAM, seed=7, salt="")
    quiet, troubled = crowd.draw(5, 1.0), crowd.draw(5, 1.0)
    for _ in range(100):
        troubled.stream("retry").random()
    assert troubled.stream("basket").random() == quiet.stream("basket").random()
    assert crowd.draw(6, 1.1) == Crowd(PROGRAM, seed=7, salt="").draw(6, 1.1)


def test_the_crowd_is_made_up_as_declared() -> None:
    """20,000 shoppers: three standard deviations of a share are at most 0.011."""
    crowd = Crowd(PROGRAM, seed=7, salt="")
    people = [crowd.draw(number, 0.0) for number in range(20_000)]
    assert sum(one.key is not None for one in people) / 20_000 == pytest.approx(0.3, abs=0.011)
    for dimension, shares in PROGRAM.cohorts.items():
        for value, share in shares.items():
            seen = sum(one.cohorts[dimension] == value for one in people) / 20_000
            assert seen == pytest.approx(share, abs=0.011)


def test_keys_are_uuids_that_differ_by_run_seed_shopper_and_thing() -> None:
    key = key_for("", 7, 3, "purchase")
    assert len(key) == 36
    assert len({key, key_for("x", 7, 3, "purchase"), key_for("", 8, 3, "purchase"), key_for("", 7, 4, "purchase")}) == 4
    assert key_for("", 7, 3, "cart") != key
