"""What checkout counts."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import NamedTuple

from prometheus_client import Counter, Gauge

from stack.checkout.orders import TERMINAL, UNFINISHED
from stack.kit.metrics import REGISTRY

_ORDERS = Counter("orders", "Orders that have come to their end, by state", ["state"], registry=REGISTRY)
_ENDED = {state: _ORDERS.labels(state) for state in sorted(TERMINAL)}

_OPEN = Gauge("orders_unfinished", "Orders not at their end, as last counted, by state", ["state"], registry=REGISTRY)
_BY_STATE = {state: _OPEN.labels(state) for state in UNFINISHED}
_OLDEST = Gauge("orders_oldest_unfinished_seconds", "Since the oldest of them was placed, by now", registry=REGISTRY)


class Unfinished(NamedTuple):
    """Orders in one state that have not come to their end."""

    state: str
    orders: int
    oldest_s: float
    """Since the oldest of them was placed."""


def ended(state: str) -> None:
    """Count an order that has come to its end."""
    _ENDED[state].inc()


def unfinished(counted: Sequence[Unfinished]) -> None:
    """What the books say of orders that are open. Until they say more, the oldest goes on growing older."""
    counts = {one.state: one.orders for one in counted}
    for state, gauge in _BY_STATE.items():
        gauge.set(counts.get(state, 0))
    if not counted:
        _OLDEST.set_function(lambda: 0.0)
        return
    placed_at = monotonic() - max(one.oldest_s for one in counted)
    _OLDEST.set_function(lambda: monotonic() - placed_at)
