"""Could so few good events be chance? One test for the judge and for the gate, so that they never disagree on it."""

from __future__ import annotations

import math
from collections.abc import Sequence

SIGNIFICANT = 0.05
"""A fail that chance alone would bring more often than this is none."""


def met(good: int, valid: int, objective: float) -> bool:
    """Whether the observed ratio is the objective or better, but for rounding (0.07 × 100 is a little over 7)."""
    return good >= valid * objective - valid * 1e-12


def enough(good: int, valid: int, objective: float, least: int) -> bool:
    """Whether so many events are enough to say that an objective is met, of which at least `least` are wanted.

    As many good ones as there are among `least` that just meet it are enough, too. Else one more bad event, the one
    that was missing, would turn "too few to tell" into a pass.
    """
    return valid >= least or met(good, least, objective)


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


def exact_interval(seen: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval for a share of which `seen` of `of` were seen, two-sided (Biometrika 26, 1934).

    Its ends are where the exact binomial test would just begin to find so few, or so many, too unlikely. It covers the
    true share at least as often as it says: 0 of 60 is 0 to 5.96 %. (0, 1) where nothing was looked at.
    """
    assert 0 <= seen <= of, "what was seen is a part of the whole"
    if not of:
        return 0.0, 1.0
    tail = (1.0 - confidence) / 2
    return 1.0 - _highest(of - seen, of, tail), _highest(seen, of, tail)


def _highest(seen: int, of: int, tail: float) -> float:
    """The share at which no more than `seen` of `of` is as unlikely as `tail`, by halving: to the last bits."""
    if seen == of:
        return 1.0
    low, high = seen / of, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if binomial_tail(seen, of, middle) > tail else (low, middle)
    return high
