"""Carts at the shoppers' door: prices come from the shelf, all else from the cart service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stack.kit.app import Request, Response
from stack.kit.carts import cart_id_of, cart_unavailable
from stack.kit.client import Client, LinkError, Reply
from stack.kit.http import JSON, PROBLEM
from stack.kit.log import log
from stack.kit.problems import Problem, bad_request
from stack.storefront.truth import Truth

MAX_LINES = 50


class Carting:
    """The handlers."""

    def __init__(self, cart: Client, price_cents: Callable[[str], int | None], truth: Truth) -> None:
        self._cart = cart
        self._price_cents = price_cents
        self._truth = truth

    async def add_lines(self, request: Request) -> Response:
        """POST /carts/{cart_id}/lines."""
        cart_id = cart_id_of(request.params["cart_id"])
        key = request.idempotency_key()
        lines = request.json_object().get("lines")
        if not isinstance(lines, list) or not 0 < len(lines) <= MAX_LINES:
            raise bad_request(f"lines must be a list of 1 to {MAX_LINES} lines")
        body = {"lines": [self._priced(line) for line in lines]}
        return await self._call("POST", f"/carts/{cart_id}/lines", body, {"Idempotency-Key": key})

    async def get_cart(self, request: Request) -> Response:
        """GET /carts/{cart_id}."""
        return await self._call("GET", f"/carts/{cart_id_of(request.params['cart_id'])}", None, {})

    def _priced(self, line: Any) -> dict[str, Any]:
        if not isinstance(line, dict) or not isinstance(line.get("sku"), str):
            raise bad_request('a line is {"sku": …, "quantity": …}')
        price_cents = self._price_cents(line["sku"])
        if price_cents is None:
            raise Problem(
                404, "unknown-product", "No such product", f"There is no product {line['sku']}.", safe_to_retry=False
            )
        return {"sku": line["sku"], "quantity": line.get("quantity"), "price_cents": price_cents}

    async def _call(self, method: str, path: str, body: object, headers: dict[str, str]) -> Response:
        try:
            reply = await self._cart.call(method, path, body, headers=headers)
        except LinkError as error:
            self._truth.cart.record(False)
            raise unreachable(error) from error
        self._truth.cart.record(reply.status < 500)
        return relay(reply)


def unreachable(error: LinkError) -> Problem:
    """503: nobody could ask the cart service."""
    log("cart-unavailable", level="error", error=str(error))
    return cart_unavailable()


def relay(reply: Reply) -> Response:
    """Another service's answer as our own: its problems carry our reference already."""
    kind = PROBLEM if reply.headers.get(b"content-type") == PROBLEM else JSON
    headers = {
        name.decode(): reply.headers[name].decode("latin-1")
        for name in (b"x-reference", b"retry-after")
        if name in reply.headers
    }
    return Response(reply.body, reply.status, kind, headers)
