"""When shoppers come: a non-homogeneous Poisson process by thinning (Lewis and Shedler, 1979)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from crashcart.model.profiles import Profile, Span, peak_share, share_at


def arrivals(profile: Profile, per_s: float, phases: Sequence[Span], random: Random) -> Iterator[float]:
    """Times of arrival, seconds from t0, ascending, at `per_s` × the profile's share. Lazy: a day costs no memory."""
    top = peak_share(profile, phases)
    end_s = phases[-1].end_s
    at_s = phases[0].start_s
    while True:
        at_s += random.expovariate(per_s * top)
        if at_s >= end_s:
            return
        if random.random() * top < share_at(profile, at_s, phases):
            yield at_s
