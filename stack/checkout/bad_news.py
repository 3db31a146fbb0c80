"""The mail to a shopper whose order failed: what happened, that nothing is kept of their money, how to go on."""

from __future__ import annotations

import orjson

TEMPLATE = "order-failed"

_HAPPENED = {
    "failed": "Something failed on our side, and we could not finish your order.",
    "cancelled_refunded": "We could not keep your order, and have cancelled it.",
    "rejected_declined": "Your card was declined after we had told you that we did not know yet.",
    "rejected_sold_out": "What you wanted was sold out before we could tell you.",
    "cart-unavailable": "We could not reach your cart when you ordered.",
    "cart-empty": "Your cart was no longer there when you ordered.",
    "ordering-closed": "We had closed ordering for a moment when you ordered.",
    "overloaded": "We had more orders than we could take when you ordered.",
}
_NOT_PLACED = "We could not take your order when you sent it."
_MONEY = {"cancelled_refunded": "What you were charged has been given back."}
_GO_ON = "Please order again. If you already have, that order stands by itself."


def bad_news(why: str) -> str:
    """What the mail says, as a JSON object of texts. `why`: the state that the order ended in, or what stopped it."""
    return orjson.dumps(
        {
            "happened": _HAPPENED.get(why, _NOT_PLACED),
            "money": _MONEY.get(why, "You were not charged."),
            "go_on": _GO_ON,
        }
    ).decode()
