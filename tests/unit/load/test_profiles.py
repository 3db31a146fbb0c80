from __future__ import annotations

from dataclasses import dataclass

import pytest

from crashcart.model.profiles import HERD_USUAL, HOURLY_SHARES, PROFILES, expected_count, peak_share, share_at


@dataclass(frozen=True)
class Span:
    name: str
    start_s: float
    end_s: float


DEMO = (Span("warmup", 0, 10), Span("baseline", 10, 30), Span("fault", 30, 50), Span("recovery", 50, 80))
QUIET = (Span("warmup", 0, 5), Span("baseline", 5, 25), Span("fault", 25, 25), Span("recovery", 25, 25))
LOPSIDED = (Span("warmup", 0, 10), Span("baseline", 10, 20), Span("fault", 20, 30), Span("recovery", 30, 130))


@pytest.mark.parametrize("name", sorted(PROFILES))
@pytest.mark.parametrize("phases", [DEMO, QUIET, LOPSIDED])
def test_the_share_stays_between_nothing_and_the_peak_and_the_peak_is_reached(
    name: str, phases: tuple[Span, ...]
) -> None:
    end_s = phases[-1].end_s
    shares = [share_at(PROFILES[name], end_s * step / 1000, phases) for step in range(1000)]
    assert all(0.1 < share <= 1.0 for share in shares)
    assert peak_share(PROFILES[name], phases) == 1.0


@pytest.mark.parametrize("name", sorted(PROFILES))
@pytest.mark.parametrize("phases", [DEMO, QUIET, LOPSIDED])
def test_the_expected_count_is_the_integral_of_the_share(name: str, phases: tuple[Span, ...]) -> None:
    profile, end_s, steps = PROFILES[name], phases[-1].end_s, 40_000
    by_hand = sum(share_at(profile, end_s * (step + 0.5) / steps, phases) for step in range(steps)) * end_s / steps
    assert expected_count(profile, 40, phases, 0, end_s) == pytest.approx(40 * by_hand, rel=1e-3)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_the_counts_of_the_phases_add_up_to_the_whole(name: str) -> None:
    profile = PROFILES[name]
    parts = [expected_count(profile, 40, DEMO, phase.start_s, phase.end_s) for phase in DEMO]
    assert sum(parts) == pytest.approx(expected_count(profile, 40, DEMO, 0, 80))


def test_steady_at_forty_a_second_expects_forty_a_second() -> None:
    assert expected_count(PROFILES["steady"], 40, DEMO, 30, 50) == pytest.approx(800)


def test_nobody_comes_before_the_first_phase_or_after_the_last() -> None:
    for profile in PROFILES.values():
        assert share_at(profile, -0.001, DEMO) == 0
        assert share_at(profile, 80, DEMO) == 0
        assert expected_count(profile, 40, DEMO, -50, 0) == 0
        assert expected_count(profile, 40, DEMO, 80, 200) == 0


@pytest.mark.parametrize("phases", [DEMO, LOPSIDED])
def test_prime_day_has_its_peak_in_the_middle_of_the_fault(phases: tuple[Span, ...]) -> None:
    fault = next(phase for phase in phases if phase.name == "fault")
    assert share_at(PROFILES["prime-day"], (fault.start_s + fault.end_s) / 2, phases) == pytest.approx(1.0)


def test_prime_day_is_one_whole_day() -> None:
    busy = expected_count(PROFILES["prime-day"], 1, DEMO, 0, 80) / 80
    assert busy == pytest.approx(sum(HOURLY_SHARES) / 24)


def test_the_doors_open_inside_warm_up_and_the_rush_only_ebbs_after() -> None:
    opening = PROFILES["prime-day-opening"]
    assert share_at(opening, 2.99, DEMO) == 0.25
    assert share_at(opening, 3.0, DEMO) == 1.0
    after = [share_at(opening, 3 + step / 10, DEMO) for step in range(770)]
    assert after == sorted(after, reverse=True)


def test_a_timeline_without_time_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one phase that lasts"):
        expected_count(PROFILES["steady"], 40, (), 0, 1)


@pytest.mark.parametrize("phases", [DEMO, LOPSIDED])
def test_the_herd_comes_when_the_fault_is_over_and_leaves_again(phases: tuple[Span, ...]) -> None:
    back_s = next(phase for phase in phases if phase.name == "fault").end_s
    herd = PROFILES["herd"]
    assert share_at(herd, back_s - 0.001, phases) == pytest.approx(HERD_USUAL)
    assert share_at(herd, back_s, phases) == 1.0
    assert share_at(herd, back_s + 9.9, phases) == 1.0
    assert share_at(herd, phases[-1].end_s - 0.001, phases) == pytest.approx(HERD_USUAL)
