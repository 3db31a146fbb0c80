"""When a shopper tries again. All of it is drawn from the shopper's retry stream."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from crashcart.loadkit.answers import Failure


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, and after what pause."""

    tries_max: int
    pause_s: float
    """Before the second try, doubled before each later one; what the shop asks for (`retry_after_s`) counts instead."""
    pause_max_s: float
    """However long the shop asks for, a shopper is back by then, or not at all."""
    after_timeout: bool = True
    """Whether a time-out is tried again at once, as people do who press the button a second time."""

    def again_s(self, failure: Failure, tries: int, now_s: float, random: Random) -> float | None:
        """When to send again after `tries` tries, None for never. No number is drawn where the answer is never."""
        if not self._wants(failure, tries):
            return None
        asked_s = self.pause_s * 2 ** (tries - 1) if failure.retry_after_s is None else failure.retry_after_s
        # up to half as long again, so that those who were turned away together do not come back together
        spread = random.random()
        return now_s + min(asked_s * (1 + spread / 2), self.pause_max_s * (1 - spread / 4))

    def _wants(self, failure: Failure, tries: int) -> bool:
        if tries >= self.tries_max or failure.safe_to_retry is False:
            return False
        if failure.kind == "timeout" and not self.after_timeout:
            return False
        # a request that the shop calls wrong will be wrong again, unless it says otherwise
        return failure.safe_to_retry is True or not 400 <= failure.status < 500
