"""Profiles: the arrival rate of shoppers over time, as a share (0 to 1) of the peak.

A profile is drawn over a timeline of phases as straight lines between points, so that its integral is exact and a plan
can say how many purchase intents each phase will hold. All times are seconds from t0, the start of the first phase.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Protocol

OPENING_AT = 0.3
"""`prime-day-opening`: the doors open after this share of the first phase."""

HERD_USUAL = 1 / 3
"""`herd`: the rate before and long after the herd, as a share of its peak."""
HERD_S = 10.0
"""`herd`: how long it stays at its peak, at most; it takes as long to ebb."""

HOURLY_SHARES = (
    *(0.42, 0.32, 0.25, 0.21, 0.20, 0.22, 0.30, 0.42, 0.54, 0.63, 0.69, 0.73),
    *(0.75, 0.73, 0.71, 0.70, 0.72, 0.76, 0.82, 0.91, 1.00, 0.98, 0.80, 0.58),
)
"""`prime-day`, hour by hour from midnight: the night at a fifth of the evening's peak, a shoulder at lunch, the peak
at 20:00. Our own figures, after the two-humped day that shops commonly see; not measured at any shop."""

_PEAK_HOUR = HOURLY_SHARES.index(1.0)

Points = tuple[tuple[float, float], ...]
"""(t_s, share) in order of time; two points at one time are a step."""


class Span(Protocol):
    """What a profile needs to know of a phase."""

    @property
    def name(self) -> str:
        """`warmup`, `baseline`, `fault`, `recovery`; a profile looks for `fault` alone."""

    @property
    def start_s(self) -> float:
        """Seconds from t0."""

    @property
    def end_s(self) -> float:
        """Seconds from t0; the phase ends just before it."""


@dataclass(frozen=True)
class Profile:
    """A named shape. `draw` gives its points over a timeline; they begin at its start and end at its end."""

    name: str
    title: str
    draw: Callable[[tuple[tuple[str, float, float], ...]], Points]


def _steady(timeline: tuple[tuple[str, float, float], ...]) -> Points:
    return ((timeline[0][1], 1.0), (timeline[-1][2], 1.0))


def _prime_day(timeline: tuple[tuple[str, float, float], ...]) -> Points:
    """One turn of the clock, begun at the hour that puts the peak in the middle of the fault phase."""
    start_s, end_s = timeline[0][1], timeline[-1][2]
    peak_s = next(
        ((begin + end) / 2 for name, begin, end in timeline if name == "fault" and end > begin), (start_s + end_s) / 2
    )
    hour_s = (end_s - start_s) / 24
    turns = (
        (peak_s + (hour - _PEAK_HOUR + day * 24) * hour_s, share)
        for day in (-1, 0, 1)
        for hour, share in enumerate(HOURLY_SHARES)
    )
    whole = tuple(sorted(turns))
    inside = tuple(point for point in whole if start_s < point[0] < end_s)
    return ((start_s, _between(whole, start_s)), *inside, (end_s, _between(whole, end_s)))


def _prime_day_opening(timeline: tuple[tuple[str, float, float], ...]) -> Points:
    """People wait at a quarter of the peak; the doors open within the first phase; the rush then ebbs to six tenths."""
    _, start_s, first_end_s = timeline[0]
    end_s = timeline[-1][2]
    opening_s = start_s + OPENING_AT * (first_end_s - start_s)
    return (
        (start_s, 0.25),
        (opening_s, 0.25),
        (opening_s, 1.0),
        (first_end_s, 0.85),
        (first_end_s + (end_s - first_end_s) / 3, 0.7),
        (end_s, 0.6),
    )


def _herd(timeline: tuple[tuple[str, float, float], ...]) -> Points:
    """A third of the peak; who could not buy comes back when the fault is over, all at once, and then it ebbs."""
    start_s, end_s = timeline[0][1], timeline[-1][2]
    back_s = next(
        (end for name, begin, end in timeline if name == "fault" and begin < end < end_s),
        start_s + (end_s - start_s) * 2 / 3,
    )
    stay_s = min(HERD_S, (end_s - back_s) / 3)
    return (
        (start_s, HERD_USUAL),
        (back_s, HERD_USUAL),
        (back_s, 1.0),
        (back_s + stay_s, 1.0),
        (back_s + 2 * stay_s, HERD_USUAL),
        (end_s, HERD_USUAL),
    )


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            Profile("steady", "the same rate from the first second to the last", _steady),
            Profile("herd", "a third of the peak until the fault is over, then everybody at once for 10 s", _herd),
            Profile(
                "prime-day",
                "24 hours squeezed into the timeline, the peak in the middle of the fault phase",
                _prime_day,
            ),
            Profile(
                "prime-day-opening",
                "a step from a quarter to the peak within the first phase, then slowly ebbing",
                _prime_day_opening,
            ),
        )
    }
)
"""Every profile by its name."""


def curve(profile: Profile, phases: Sequence[Span]) -> Points:
    """The profile's points over these phases, which follow each other without gaps. ValueError where no time is."""
    timeline = tuple((phase.name, float(phase.start_s), float(phase.end_s)) for phase in phases)
    if not timeline or timeline[-1][2] <= timeline[0][1]:
        raise ValueError("a profile needs at least one phase that lasts")
    return _curve(profile, timeline)


@lru_cache(maxsize=64)
def _curve(profile: Profile, timeline: tuple[tuple[str, float, float], ...]) -> Points:
    return profile.draw(timeline)


def share_at(profile: Profile, t_s: float, phases: Sequence[Span]) -> float:
    """Share of the peak rate at `t_s`, 0 to 1; 0 before the first phase and from the last one's end on."""
    points = curve(profile, phases)
    if not points[0][0] <= t_s < points[-1][0]:
        return 0.0
    return _between(points, t_s)


def expected_count(profile: Profile, per_s: float, phases: Sequence[Span], start_s: float, end_s: float) -> float:
    """Arrivals expected from `start_s` to `end_s` at a peak rate of `per_s`: the integral of per_s × share_at."""
    total = 0.0
    for (from_s, low), (to_s, high) in pairwise(curve(profile, phases)):
        begin_s, finish_s = max(from_s, start_s), min(to_s, end_s)
        if finish_s <= begin_s:
            continue
        slope = (high - low) / (to_s - from_s)
        middle = low + slope * ((begin_s + finish_s) / 2 - from_s)
        total += middle * (finish_s - begin_s)
    return per_s * total


def peak_share(profile: Profile, phases: Sequence[Span]) -> float:
    """The highest share that the profile reaches over these phases (1 unless the timeline cuts the peak off)."""
    return max(share for _, share in curve(profile, phases))


def _between(points: Points, t_s: float) -> float:
    """The straight line's height at `t_s`; right of a step where there is one."""
    index = min(bisect_right(points, t_s, key=lambda point: point[0]), len(points) - 1)
    (from_s, low), (to_s, high) = points[index - 1], points[index]
    return low if to_s <= from_s else low + (high - low) * (t_s - from_s) / (to_s - from_s)
