"""Orders that failed at the door are remembered here, on disk, until checkout has closed them and writes a mail.

A shopper who tries again with the same key in time is forgotten as soon as the order has an end that they were told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from prometheus_client import Counter, Gauge

from stack.kit.ledger import AppendOnlyLedger
from stack.kit.log import log
from stack.kit.metrics import REGISTRY

MOST = 20_000
"""So many are remembered at once; whoever comes after them can not be told, which is counted."""
BATCH = 100
LOOK_S = 0.5

_waiting = Gauge("orders_unplaced", "Orders that failed at the door and are not closed yet", registry=REGISTRY)
_untold = Counter("orders_untold", "Orders that failed at the door and could not be remembered", registry=REGISTRY)

Order = Mapping[str, Any]
Close = Callable[[Sequence[Order]], Awaitable[bool]]


class Unplaced:
    """The memory. `close` gives orders to checkout and says whether it has taken them; it may be given one twice."""

    def __init__(self, file: Path, close: Close, *, after_s: float) -> None:
        """`after_s`: how long after a failure the shopper may still come back with the same key."""
        self._close = close
        self._after_s = after_s
        self._ledger = AppendOnlyLedger(file)
        self._due: dict[str, tuple[float, Order]] = {}
        for record in self._ledger.read():
            self._take(record)
        _waiting.set(len(self._due))

    def _take(self, record: Mapping[str, Any]) -> None:
        if "done" in record:
            self._due.pop(record["done"], None)
        else:
            # last, in order of time
            self._due.pop(record["key"], None)
            self._due[record["key"]] = (monotonic() + self._after_s, record)

    def remember(self, order: Order) -> None:
        """This order failed: key, total_cents, network, email, cohort, why. Asked again it counts from now."""
        known = order["key"] in self._due
        if not known and len(self._due) >= MOST:
            _untold.inc()
            return
        if not known:
            self._write(order)
        self._take(order)
        _waiting.set(len(self._due))

    def forget(self, key: str) -> None:
        """This order has an end that its shopper was told, or checkout sees to it."""
        if key in self._due:
            self._write({"done": key})
            self._take({"done": key})
            _waiting.set(len(self._due))

    def _write(self, record: Order) -> None:
        try:
            self._ledger.append(dict(record))
        except OSError as error:  # still remembered, for as long as this process lives
            log("unplaced-not-written", level="error", error=str(error))

    async def run(self) -> None:
        """Hand over for ever what is due."""
        while True:
            await asyncio.sleep(LOOK_S)
            while batch := self._batch():
                if not await self._close(batch):
                    break
                for order in batch:
                    self.forget(order["key"])
            if not self._due:
                self._ledger.clear()

    def _batch(self) -> list[Order]:
        now = monotonic()
        found: list[Order] = []
        for due_at, order in self._due.values():
            if due_at > now or len(found) == BATCH:
                break
            found.append(order)
        return found
