"""What is known of a charge, and the metrics that count it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import Counter, Gauge

from stack.kit.metrics import REGISTRY
from stack.payments.rules import Heard
from stack.payments.store import Charge

FINAL = frozenset({"captured", "declined", "cancelled", "refunded"})
"""States of a charge that no request and no time changes, but for a refund of what was captured."""

_PAYMENTS = Counter("payments", "What processors said to charges", ["processor", "outcome"], registry=REGISTRY)
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
    for processor in processors:
        for heard in _OUTCOMES:
            _PAYMENTS.labels(processor, heard.value)


def count(processor: str, heard: Heard) -> None:
    """Count what a processor said to a charge."""
    _PAYMENTS.labels(processor, heard.value).inc()
