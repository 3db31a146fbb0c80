"""Small numbers, told apart from bad ones. Pure arithmetic; every figure of a verdict is rounded here."""

from __future__ import annotations

import math

from crashcart.model.chance import SIGNIFICANT, binomial_tail, enough, holm, met
from crashcart.model.verdict import Outcome

__all__ = [
    "SIGNIFICANT",
    "binomial_tail",
    "counted",
    "enough",
    "holm",
    "met",
    "percent",
    "poisson_bounds",
    "ratio_outcome",
    "rounded",
]

POISSON_SIGMAS = 4.0
"""A schedule off by more than this many standard deviations is not the planned one: 1 run in 16,000 by chance."""


def rounded(value: float, digits: int = 6) -> float:
    """As it stands in a verdict: the same bytes wherever it is judged again. Never −0."""
    return round(value, digits) + 0.0


def ratio_outcome(good: int, valid: int, objective: float, min_events: int, p_value: float) -> Outcome:
    """What so many good of so many valid events say of an objective; `p_value` is corrected already.

    Enough events and the objective met: pass. Missed beyond chance: fail, however few they are. All else says nothing.
    """
    if valid and not met(good, valid, objective) and p_value < SIGNIFICANT:
        return Outcome.FAIL
    if valid and met(good, valid, objective) and enough(good, valid, objective, min_events):
        return Outcome.PASS
    return Outcome.INCONCLUSIVE


def poisson_bounds(expected: float) -> tuple[float, float]:
    """What a Poisson count of that mean may be."""
    spread = POISSON_SIGMAS * math.sqrt(expected)
    return max(0.0, expected - spread - 1.0), expected + spread + 1.0


def percent(share: float) -> str:
    """A share for people, `99.95 %`: rounded down, so that what misses an objective never looks like it."""
    hundredths = math.floor(share * 10_000 + 1e-6)
    if hundredths == 0 and share > 0:
        return "under 0.01 %"
    return f"{hundredths / 100:.2f}".rstrip("0").rstrip(".") + " %"


def counted(n: int, thing: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"
