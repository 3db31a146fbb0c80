"""What the stock called sold out a moment ago: while hundreds a second ask for it, it need not be asked each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any

REMEMBERED_S = 0.5
"""Who asks within this time after a no is told the same: stock that came back meanwhile is for the next one."""
_MOST = 10_000


class SoldOut:
    """So many pieces of a product could not be had, and until when that is taken for true."""

    def __init__(self, remembered_s: float = REMEMBERED_S, clock: Callable[[], float] = monotonic) -> None:
        self._remembered_s = remembered_s
        self._clock = clock
        self._short: dict[str, tuple[int, float]] = {}

    def heard(self, skus: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> None:
        """The stock had not enough of these for an order of these lines."""
        until = self._clock() + self._remembered_s
        if len(self._short) >= _MOST:
            self._short.clear()
        for line in lines:
            if line["sku"] in skus:
                self._short[line["sku"]] = (line["quantity"], until)

    def known(self, lines: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        """Of which of these there is not enough, as far as is known; a smaller wish may be met and has to be asked."""
        if not self._short:
            return ()
        now = self._clock()
        return tuple(line["sku"] for line in lines if self._is_short(line["sku"], line["quantity"], now))

    def _is_short(self, sku: str, quantity: int, now: float) -> bool:
        least, until = self._short.get(sku, (0, 0.0))
        return now < until and quantity >= least
