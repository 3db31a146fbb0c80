"""Two shares, and whether chance alone would make them differ so much. Pure arithmetic."""

from __future__ import annotations

import math

import msgspec

from crashcart.judging.numbers import SIGNIFICANT, holm


class Shares(msgspec.Struct, frozen=True):
    """`a_part` of `a_whole` in one run, `b_part` of `b_whole` in the other."""

    a_part: int
    a_whole: int
    b_part: int
    b_whole: int


def fisher(shares: Shares) -> float:
    """P value of Fisher's exact test, two-sided: how likely a table at most as likely as this one is.

    1 where one of the runs has no events. Exact but for rounding; sums at most as many terms as there are parts.
    """
    assert 0 <= shares.a_part <= shares.a_whole, "a part is no more than the whole"
    assert 0 <= shares.b_part <= shares.b_whole, "a part is no more than the whole"
    parts = shares.a_part + shares.b_part
    rest = shares.a_whole + shares.b_whole - parts
    if not shares.a_whole or not shares.b_whole or not parts or not rest:
        return 1.0
    if parts > rest:  # the rarer of the two has fewer terms
        return fisher(
            Shares(shares.a_whole - shares.a_part, shares.a_whole, shares.b_whole - shares.b_part, shares.b_whole)
        )
    lowest, highest = max(0, parts - shares.b_whole), min(parts, shares.a_whole)
    logs = [_log_choose(shares.a_whole, k) + _log_choose(shares.b_whole, parts - k) for k in range(lowest, highest + 1)]
    seen = logs[shares.a_part - lowest]
    top = max(logs)
    total = math.fsum(math.exp(one - top) for one in logs)
    extreme = math.fsum(math.exp(one - top) for one in logs if one <= seen + 1e-9)
    return min(1.0, extreme / total)


def moved(pairs: list[Shares]) -> list[tuple[bool, float]]:
    """For each: whether it moved beyond chance, and its p value, corrected for having looked at so many (Holm)."""
    return [(p_value < SIGNIFICANT, p_value) for p_value in holm([fisher(pair) for pair in pairs])]


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
