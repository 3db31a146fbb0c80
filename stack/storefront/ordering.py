"""Placing an order: freeze the cart under the order's key, then hand it to checkout. All of it may be asked twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from stack.kit import context
from stack.kit.app import Request, Response, json_response
from stack.kit.carts import cart_id_of
from stack.kit.client import Client, LinkError, NotSent, Reply
from stack.kit.http import problem_response
from stack.kit.log import log
from stack.kit.problems import Problem, bad_request, not_found
from stack.kit.references import for_key, order_id_for
from stack.kit.settings import env_float
from stack.storefront.carting import relay, unreachable
from stack.storefront.switch import OrderingSwitch
from stack.storefront.truth import Truth
from stack.storefront.unplaced import Unplaced

NETWORKS = ("visa", "mastercard", "amex")
ANSWER_S = 0.1
"""Kept back of the shopper's deadline, so that our answer is there before they turn away."""
_IN_THE_BOOKS = ("inventory-unavailable", "payment-unavailable", "product-unavailable")
"""Refusals of orders that checkout has stored: their end is its business."""
_UNFINISHED = ("placed", "held", "payment_unknown", "cancelling")
_ENDED = {
    "rejected_sold_out": (409, "sold-out", "Sold out"),
    "rejected_declined": (402, "declined", "The card was declined"),
    "cancelled_refunded": (409, "order-cancelled", "The order was cancelled"),
    "failed": (409, "order-failed", "The order has failed"),
}


LineOf = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the shopper wants to buy: the cart, the total they agreed to in cents, how they pay, where we write."""

    cart_id: str
    total_cents: int
    card: Mapping[str, str]
    email: str

    def fingerprint(self) -> str:
        """The same for the same wish."""
        told = orjson.dumps([self.cart_id, self.total_cents, self.card, self.email], option=orjson.OPT_SORT_KEYS)
        return blake2b(told, digest_size=12).hexdigest()


class Ordering:
    """The handlers."""

    def __init__(
        self, cart: Client, checkout: Client, switch: OrderingSwitch, truth: Truth, line_of: LineOf, unplaced_file: Path
    ) -> None:
        """`line_of`: the business line of a sku."""
        self._cart = cart
        self._checkout = checkout
        self._switch = switch
        self._truth = truth
        self._line_of = line_of
        self.unplaced = Unplaced(unplaced_file, self._close_unplaced, after_s=env_float("UNPLACED_AFTER_S", 5.0))

    async def place(self, request: Request) -> Response:
        """POST /orders."""
        key = request.idempotency_key()
        wish = _wish(request.json_object())
        order_id = str(order_id_for(key))
        try:
            response = await self._place(key, order_id, wish)
        except Problem as problem:
            log("order-answered", order_id=order_id, status=problem.status, problem=problem.type)
            self._follow_up(key, wish, problem.status, problem.type, context.cohort())
            raise
        log("order-answered", order_id=order_id, status=response.status)
        kind = _kind_of(response.body) if response.status >= 400 else ""
        self._follow_up(key, wish, response.status, kind, context.cohort())
        return response

    def turned_away(self, request: Request) -> None:
        """An order that is refused at the door for want of room; its shopper is remembered all the same."""
        key = request.idempotency_key()
        self._follow_up(key, _wish(request.json_object()), 503, "overloaded", request.work.cohort)

    def _follow_up(self, key: str, wish: Wish, status: int, kind: str, cohort: str | None) -> None:
        """Remember whom the shop has failed, and forget who was told how their order ended.

        What checkout has in its books it follows up itself.
        """
        if (status < 500 and kind != "cart-empty") or kind in _IN_THE_BOOKS:
            self.unplaced.forget(key)
            return
        order = {
            "key": key,
            "total_cents": wish.total_cents,
            "network": wish.card["network"],
            "email": wish.email,
            "cohort": cohort,
            "why": kind,
        }
        self.unplaced.remember(order)

    async def _close_unplaced(self, orders: Sequence[Mapping[str, Any]]) -> bool:
        with context.bound(deadline_s=2.0):
            try:
                reply = await self._checkout.call("POST", "/orders/unplaced", {"orders": orders})
            except LinkError:
                return False
        return reply.status == 200

    async def _place(self, key: str, order_id: str, wish: Wish) -> Response:
        with context.deadline(context.remaining_s() - ANSWER_S):
            if not self._switch.open:
                return await self._known(key) or problem_response(self._switch.closed(), for_key(key))
            cart = await self._freeze(key, wish)
            if isinstance(cart, Response):
                # The cart may be gone because the order was placed long ago: then tell how that ended.
                known = await self._known(key) if cart.status in {404, 503} else None
                return known or cart
            if cart["total_cents"] != wish.total_cents:
                raise _price_changed(cart["total_cents"])
            body = {
                "order_id": order_id,
                "lines": cart["lines"],
                "total_cents": cart["total_cents"],
                "card": wish.card,
                "email": wish.email,
                "cohort": context.cohort(),
            }
            line = self._line_of(cart["lines"][0]["sku"])
            try:
                response = await self._check_out(key, body)
            except Problem as problem:
                self._truth.ordered(line, problem.status < 500)
                raise
            self._truth.ordered(line, response.status < 500)
            return response

    async def show(self, request: Request) -> Response:
        """GET /orders/{order_id}."""
        try:
            order_id = UUID(request.params["order_id"])
        except ValueError as error:
            raise not_found("there is no such order") from error
        reply = await self._ask(order_id)
        return relay(reply)

    # ---- steps

    async def _freeze(self, key: str, wish: Wish) -> dict[str, Any] | Response:
        """The cart as it was when this order was first placed; a refusal when there is none to be had."""
        path = f"/carts/{wish.cart_id}/freeze"
        body = {"fingerprint": wish.fingerprint(), "total_cents": wish.total_cents}
        try:
            reply = await self._cart.call("POST", path, body, headers={"Idempotency-Key": key})
        except LinkError as error:
            self._truth.cart.record(False)
            return problem_response(unreachable(error), for_key(key))
        self._truth.cart.record(reply.status < 500)
        if reply.status != 200:
            return relay(reply)
        cart: dict[str, Any] = reply.json()
        return cart

    async def _check_out(self, key: str, body: Mapping[str, Any]) -> Response:
        try:
            reply = await self._checkout.call("POST", "/orders", body, headers={"Idempotency-Key": key})
        except NotSent as error:
            self._truth.checkout.record(False)
            raise _checkout_unavailable(error) from error
        except LinkError as error:
            self._truth.checkout.record(False)
            log("order-outcome-unknown", level="error", error=str(error))
            raise _pending(key) from error
        self._learn(reply)
        if reply.status == 500:
            log("order-outcome-unknown", level="error", error="checkout failed")
            raise _pending(key)
        return relay(reply)

    def _learn(self, reply: Reply) -> None:
        """What an answer of checkout says about checkout and about payments."""
        kind = reply.json().get("type", "").removeprefix("/problems/") if reply.status >= 500 else ""
        payments_failed = kind in {"payment-unavailable", "order-pending"}
        self._truth.checkout.record(reply.status < 500 or payments_failed)
        if payments_failed or reply.status in {201, 402}:
            self._truth.payments.record(not payments_failed)

    async def _known(self, key: str) -> Response | None:
        """How an order stands that was placed under this key before; None when none was, or nobody can say."""
        try:
            reply = await self._ask(order_id_for(key))
        except Problem:
            return None
        if reply.status != 200:
            return None
        order = reply.json()
        if order["state"] == "accepted":
            return json_response(order, 201)
        if order["state"] in _UNFINISHED:
            return problem_response(_pending(key), for_key(key))
        status, kind, title = _ENDED[order["state"]]
        ended = Problem(status, kind, title, "This is how the order ended before.", safe_to_retry=False)
        return problem_response(ended, for_key(key))

    async def _ask(self, order_id: UUID) -> Reply:
        try:
            reply = await self._checkout.call("GET", f"/orders/{order_id}")
        except LinkError as error:
            self._truth.checkout.record(False)
            raise _checkout_unavailable(error) from error
        self._truth.checkout.record(reply.status < 500)
        return reply


def _kind_of(body: bytes) -> str:
    """The type of a problem's document."""
    kind = orjson.loads(body).get("type", "")
    return str(kind).removeprefix("/problems/")


def _wish(body: Mapping[str, Any]) -> Wish:
    total_cents, card, email = body.get("total_cents"), body.get("card"), body.get("email")
    if type(total_cents) is not int or total_cents <= 0:
        raise bad_request("total_cents must be a whole number of cents above 0")
    if not isinstance(card, dict) or card.get("network") not in NETWORKS or not isinstance(card.get("token"), str):
        raise bad_request(f'card must be {{"network": …, "token": …}} with a network of {", ".join(NETWORKS)}')
    if not isinstance(email, str) or "@" not in email or len(email) > 254 or not email.isprintable():
        raise bad_request("email must be an address")
    return Wish(cart_id_of(body.get("cart_id")), total_cents, card, email)


def _price_changed(total_cents: int) -> Problem:
    return Problem(
        409,
        "price-changed",
        "The total is not what you saw",
        f"The cart costs {total_cents} cents. Nothing was ordered; who agrees orders with that total.",
        safe_to_retry=False,
        extra={"total_cents": total_cents},
    )


def _pending(key: str) -> Problem:
    return Problem(
        504,
        "order-pending",
        "We do not know yet",
        "Your order may be on its way and we keep it. Ask again with the same key: it is placed at most once.",
        safe_to_retry=True,
        retry_after_s=2.0,
        extra={"order_id": str(order_id_for(key))},
    )


def _checkout_unavailable(error: LinkError) -> Problem:
    log("checkout-unavailable", level="error", error=str(error))
    return Problem(
        503,
        "checkout-unavailable",
        "Orders cannot be taken just now",
        "Your cart is kept. Trying again now is safe.",
        safe_to_retry=True,
        retry_after_s=1.0,
    )
