"""Small numbers, told apart from bad ones. Pure arithmetic; every figure of a verdict is rounded here."""

from __future__ import annotations

import math
from collections.abc import Sequence

from crashcart.model.verdict import Outcome

SIGNIFICANT = 0.05
"""A fail that chance alone would bring more often than this is none."""
POISSON_SIGMAS = 4.0
"""A schedule off by more than this many standard deviations is not the planned one: 1 run in 16,000 by chance."""


def rounded(value: float, digits: int = 6) -> float:
    """As it stands in a verdict: the same bytes wherever it is judged again. Never −0."""
    return round(value, digits) + 0.0


def binomial_tail(good: int, valid: int, objective: float) -> float:
    """P(X ≤ good) for X ~ Binomial(valid, objective), exact but for rounding: could so few good ones be chance?

    Summed from `good` downwards, where terms shrink when it lies under the mean; over the mean, from the other side.
    """
    assert 0 <= good <= valid, "good events are a part of the valid ones"
    assert 0 < objective < 1, "an objective is a share"
    if good == valid:
        return 1.0
    if good > valid * objective:
        return 1.0 - binomial_tail(valid - good - 1, valid, 1.0 - objective)
    log_term = (
        math.lgamma(valid + 1)
        - math.lgamma(good + 1)
        - math.lgamma(valid - good + 1)
        + good * math.log(objective)
        + (valid - good) * math.log1p(-objective)
    )
    odds = (1.0 - objective) / objective
    term = total = 1.0
    for k in range(good, 0, -1):
        term *= k / (valid - k + 1) * odds
        total += term
        if term < total * 1e-17:
            break
    return min(1.0, math.exp(log_term + math.log(total)))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P values corrected for having looked at so many (Holm 1979), in the order given.

    Right whatever the tests have in common: cohorts overlap.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return tuple(corrected)


def ratio_outcome(good: int, valid: int, objective: float, min_events: int, p_value: float) -> Outcome:
    """What so many good of so many valid events say of an objective; `p_value` is corrected already.

    Enough events and the objective met: pass. Missed beyond chance: fail, however few they are. All else says nothing.
    """
    if valid and not met(good, valid, objective) and p_value < SIGNIFICANT:
        return Outcome.FAIL
    if valid and met(good, valid, objective) and valid >= min_events:
        return Outcome.PASS
    return Outcome.INCONCLUSIVE


def met(good: int, valid: int, objective: float) -> bool:
    """Whether the observed ratio is the objective or better, but for rounding (0.07 × 100 is a little over 7)."""
    return good >= valid * objective - valid * 1e-12


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
