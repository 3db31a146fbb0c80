"""What to do next with an order: pure rules over what the stock and the payments said.

Two promises rest on them. Who is told that nothing was done is told so for good: an order that may be charged is never
answered with a definite "no" before payments has said so. And an order is accepted only while nobody has decided to
give it up: giving up is a state of its own (`cancelling`), entered before payments is asked to cancel.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Held(Enum):
    """What became of the stock."""

    YES = "yes"
    SOLD_OUT = "sold_out"
    REFUSED = "refused"  # this order's hold was released or has run out: it is too late for it
    UNAVAILABLE = "unavailable"


class Paid(Enum):
    """What is known of the money."""

    CAPTURED = "captured"
    DECLINED = "declined"
    NOT_CHARGED = "not_charged"  # this request charged nothing
    CANCELLED = "cancelled"  # nothing is charged and nothing will be
    REFUNDED = "refunded"
    NEVER_HEARD = "never_heard"  # payments knows of no such charge; a request may be on its way
    UNKNOWN = "unknown"


class Move(Enum):
    """What to do."""

    CHARGE = "charge"
    ACCEPT = "accept"
    REJECT_SOLD_OUT = "rejected_sold_out"
    REJECT_DECLINED = "rejected_declined"
    FAIL = "failed"
    CANCEL = "cancel"
    REFUNDED = "cancelled_refunded"
    PARK = "park"
    ASK = "ask"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Parking:
    """How an order is left: for the shopper's next try with the same key, and for the finisher after that.

    `told` is the type of the problem the shopper is told.
    """

    state: str
    may_be_charged: bool
    told: str


def after_hold(held: Held, may_be_charged: bool) -> Move:
    """The move after asking for the stock. `may_be_charged`: by an earlier try of the same order."""
    if held is Held.YES:
        return Move.CHARGE
    if held is Held.UNAVAILABLE:
        return Move.PARK
    if may_be_charged:
        return Move.CANCEL
    return Move.REJECT_SOLD_OUT if held is Held.SOLD_OUT else Move.FAIL


def after_charge(paid: Paid) -> Move:
    """The move after asking for the money."""
    if paid is Paid.CAPTURED:
        return Move.ACCEPT
    if paid is Paid.DECLINED:
        return Move.REJECT_DECLINED
    if paid is Paid.CANCELLED or paid is Paid.REFUNDED:
        return Move.CANCEL
    return Move.PARK


def parked_before_charge(may_be_charged: bool, why: str) -> Parking:
    """The stock or the time for the charge was lacking, so this try charged nothing; an earlier one may have."""
    return Parking("payment_unknown", True, "order-pending") if may_be_charged else Parking("placed", False, why)


def parked_after_charge(paid: Paid, may_be_charged: bool) -> Parking:
    """The money was not captured, or nobody knows."""
    if paid is Paid.NOT_CHARGED and not may_be_charged:
        return Parking("held", False, "payment-unavailable")
    return Parking("payment_unknown", True, "order-pending")


def finish(state: str, may_be_charged: bool, idle_s: float, resume_s: float, paid: Paid | None) -> Move:
    """The finisher's move. `paid` is what payments says, None before it was asked.

    For `resume_s` after the last try the shopper may come back with the same key and have the order go on; only then
    is it given up. What was captured is accepted at once, though: the shopper meant it and has paid.
    """
    if state == "cancelling":
        return Move.CANCEL
    if not may_be_charged:
        return Move.FAIL if idle_s >= resume_s else Move.WAIT
    if paid is None:
        return Move.ASK
    if paid is Paid.CAPTURED:
        return Move.ACCEPT
    if paid is Paid.DECLINED:
        return Move.REJECT_DECLINED
    if paid is Paid.UNKNOWN or idle_s < resume_s:
        return Move.WAIT
    return Move.CANCEL


def after_cancel(paid: Paid) -> Move:
    """The end of an order that is given up, by what payments says of its cancellation."""
    if paid is Paid.CANCELLED:
        return Move.FAIL
    if paid is Paid.REFUNDED:
        return Move.REFUNDED
    if paid is Paid.DECLINED:
        return Move.REJECT_DECLINED
    return Move.WAIT
