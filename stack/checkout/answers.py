"""What a shopper is told about an order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stack.checkout.orders import Order
from stack.kit.app import Response, json_response
from stack.kit.problems import Problem, key_reused, not_found
from stack.kit.references import order_id_for

_UNAVAILABLE = {
    "product-unavailable": "Something in your cart is temporarily not available",
    "inventory-unavailable": "The stock cannot be asked just now",
    "payment-unavailable": "Payments are not possible just now",
    "checkout-unavailable": "Orders cannot be taken just now",
}


def accepted(order_id: str, reference: str, total_cents: int) -> Response:
    """201: the order is accepted."""
    document = {"order_id": order_id, "reference": reference, "state": "accepted", "total_cents": total_cents}
    return json_response(document, 201, {"x-reference": reference})


def shown(order: Order) -> Response:
    """The order as GET shows it."""
    return json_response(
        {
            "order_id": str(order.order_id),
            "reference": order.reference,
            "state": order.state,
            "total_cents": order.total_cents,
        }
    )


def refusal(state: str, problem: Mapping[str, Any]) -> Problem:
    """The problem of an order that ended without being accepted. A new try needs a new key."""
    if state == "rejected_sold_out":
        skus = problem.get("skus", [])
        return Problem(
            409, "sold-out", "Sold out", "Nothing was charged.", safe_to_retry=False, extra={"skus": list(skus)}
        )
    if state == "rejected_declined":
        return Problem(402, "declined", "The card was declined", "Nothing was charged.", safe_to_retry=False)
    if state == "cancelled_refunded":
        detail = "The order could not be kept. What was charged has been given back."
        return Problem(409, "order-cancelled", "The order was cancelled", detail, safe_to_retry=False)
    detail = "The order was given up after a failure on our side. Nothing was charged; please order anew."
    return Problem(409, "order-failed", "The order has failed", detail, safe_to_retry=False)


def pending(key: str) -> Problem:
    """504: it is not known yet how the order ends."""
    return Problem(
        504,
        "order-pending",
        "We do not know yet",
        "Your order is being worked on and we keep it. Ask again in a moment: you will not be charged twice.",
        safe_to_retry=True,
        retry_after_s=2.0,
        extra={"order_id": str(order_id_for(key))},
    )


def told(kind: str, key: str, problem: Mapping[str, Any] | None = None) -> Problem:
    """The problem of an order that stopped on its way: `kind` is a problem type."""
    if kind == "product-unavailable":
        skus = list((problem or {}).get("skus", []))
        detail = f"Nothing was charged. {', '.join(skus)} cannot be sold for the moment: order without it, or later."
        return Problem(
            503, kind, _UNAVAILABLE[kind], detail, safe_to_retry=True, retry_after_s=30.0, extra={"skus": skus}
        )
    if kind == "order-pending":
        return pending(key)
    if kind == "idempotency-key-reused":
        return key_reused()
    if kind == "not-found":
        return not_found("there is no such order")
    if kind == "checkout-unavailable":
        detail = "This request did nothing. Ask again with the same key, which also tells how an earlier try ended."
    else:
        detail = "Nothing was charged, and your order waits a moment for you. Trying again with the same key is safe."
    return Problem(503, kind, _UNAVAILABLE[kind], detail, safe_to_retry=True, retry_after_s=1.0)
