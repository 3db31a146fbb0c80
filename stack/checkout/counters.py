"""What checkout counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from stack.checkout.orders import TERMINAL
from stack.kit.metrics import REGISTRY

_ORDERS = Counter("orders", "Orders that have come to their end, by state", ["state"], registry=REGISTRY)
_ENDED = {state: _ORDERS.labels(state) for state in sorted(TERMINAL)}

UNFINISHED = Gauge("orders_unfinished", "Orders that have not come to their end, as last counted", registry=REGISTRY)


def ended(state: str) -> None:
    """Count an order that has come to its end."""
    _ENDED[state].inc()
