"""So many of so many, and whether that may be chance."""

from __future__ import annotations

from dataclasses import dataclass

from crashcart.judging.numbers import SIGNIFICANT, binomial_tail, percent

BY_CHANCE = 6.3e-5
"""A share is called another than the declared one in no more than this part of all runs in which it is that one."""


@dataclass(frozen=True, slots=True)
class Part:
    """So many of so many."""

    n: int
    of: int

    @property
    def share(self) -> float:
        """0 where there were none."""
        return self.n / self.of if self.of else 0.0

    def __str__(self) -> str:
        return f"{percent(self.share)} ({self.n} of {self.of})"


def at_most(part: Part, share: float) -> float:
    """P(so few or fewer), were the real share `share`."""
    if share <= 0:
        return 1.0
    return binomial_tail(part.n, part.of, share) if share < 1 else float(part.n == part.of)


def at_least(part: Part, share: float) -> float:
    """P(so many or more), were the real share `share`."""
    if share >= 1:
        return 1.0
    return binomial_tail(part.of - part.n, part.of, 1 - share) if share > 0 else float(part.n == 0)


def unlike(part: Part, declared: float) -> str:
    """Why what an observer counted does not show the declared share; empty where it does.

    By exact binomial tests: it must lie in the interval of that share, and half of it must be ruled out, so that few
    prove nothing.
    """
    if not part.of:
        return "its observer counted nothing"
    if not 0 <= part.n <= part.of:
        return f"its observer counted {part.n} of {part.of}"
    if 2 * min(at_least(part, declared), at_most(part, declared)) < BY_CHANCE:
        return f"of what its observer counted it was {part}, and must be {percent(declared)}, but for chance"
    if at_least(part, declared / 2) >= SIGNIFICANT:
        half = f"that may be half of the declared {percent(declared)}"
        return f"of what its observer counted it was {part}, and {half}: let the fault last longer (`for`)"
    return ""
