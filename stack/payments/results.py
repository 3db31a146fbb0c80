"""What is known of a charge, and the metrics that count it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from prometheus_client import Counter, Gauge

from stack.kit.metrics import REGISTRY
from stack.payments.rules import Heard
from stack.payments.store import Charge

FINAL = frozenset({"captured", "declined", "cancelled", "refunded"})
"""States of a charge that no request and no time changes, but for a refund of what was captured."""

NETWORKS = ("visa", "mastercard", "amex")
"""Counted one by one; any other is `other`, so that a garbled request makes no new series."""
SLOW_S = 0.25
"""A processor that took so long was slow."""
_PAYMENTS = Counter(
    "payments",
    "What processors said to charges, of which network, and at what pace",
    ["processor", "network", "outcome", "pace"],
    registry=REGISTRY,
)
IN_DOUBT = Gauge("charges_in_doubt", "Charges that the resolver works on, as last seen", registry=REGISTRY)

_OUTCOMES = (Heard.CAPTURED, Heard.DECLINED, Heard.REFUSED, Heard.NOT_SENT, Heard.VOIDED, Heard.IN_DOUBT)


@dataclass(frozen=True, slots=True)
class Result:
    """`state`: captured, declined, not_charged, unknown, cancelled, refunded, or mismatch (the key is another's)."""

    state: str
    processor: str = ""
    charge_id: str = ""


NOT_CHARGED = Result("not_charged")
UNKNOWN = Result("unknown")
MISMATCH = Result("mismatch")


def result_of(charge: Charge) -> Result:
    """A stored charge as its client sees it."""
    state = "unknown" if charge.state in ("pending", "voiding", "refunding") else charge.state
    return Result(state, charge.processor, charge.charge_id)


def declare(processors: Iterable[str]) -> None:
    """Start every counter at 0."""
    for processor, network, heard, pace in product(processors, (*NETWORKS, "other"), _OUTCOMES, ("quick", "slow")):
        _PAYMENTS.labels(processor, network, heard.value, pace)


def count(processor: str, network: str, heard: Heard, took_s: float) -> None:
    """Count what a processor said to a charge, after so many seconds."""
    pace = "slow" if took_s >= SLOW_S else "quick"
    _PAYMENTS.labels(processor, network if network in NETWORKS else "other", heard.value, pace).inc()
