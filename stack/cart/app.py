"""The cart's door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stack.cart import store
from stack.cart.scripts import ADD, FREEZE
from stack.cart.store import Cart, Carts, KeyReused, Limit, Line
from stack.kit import valkey
from stack.kit.app import Request, Response, Route, Service, json_response
from stack.kit.carts import cart_id_of, cart_unavailable
from stack.kit.log import log
from stack.kit.problems import Problem, bad_request, key_reused
from stack.kit.settings import env_float, env_int
from stack.kit.valkey import Valkey, ValkeyError

_LIMITS = {
    "too-many-lines": f"A cart has at most {store.MAX_LINES} lines.",
    "too-many-pieces": f"A line has at most {store.MAX_QUANTITY} pieces.",
    "too-many-changes": f"A cart takes at most {store.MAX_CHANGES} changes; start a new one.",
}


class CartDoor:
    """The handlers."""

    def __init__(self) -> None:
        self._valkey: Valkey | None = None

    async def open(self) -> None:
        """Connect to the store."""
        timeout_s = env_float("CART_STORE_TIMEOUT_S", 1.0)
        self._valkey = await valkey.connect("cart-store", timeout_s=timeout_s, scripts=[ADD, FREEZE])

    async def close(self) -> None:
        """Leave the store."""
        if self._valkey is not None:
            await self._valkey.close()

    @property
    def _carts(self) -> Carts:
        assert self._valkey is not None, "open() comes first"
        return Carts(self._valkey)

    async def add_lines(self, request: Request) -> Response:
        """POST /carts/{id}/lines."""
        cart_id = cart_id_of(request.params["id"])
        key = request.idempotency_key()
        lines = _lines(request.json_object().get("lines"))
        try:
            outcome = await self._carts.add(cart_id, key, lines)
        except ValkeyError as error:
            raise _unavailable(error) from error
        match outcome:
            case Cart():
                return _reply(cart_id, outcome)
            case Limit(name):
                raise Problem(409, name, "The cart is full", _LIMITS[name], safe_to_retry=False)
            case KeyReused():
                raise key_reused()

    async def get_cart(self, request: Request) -> Response:
        """GET /carts/{id}."""
        cart_id = cart_id_of(request.params["id"])
        try:
            return _reply(cart_id, await self._carts.get(cart_id))
        except ValkeyError as error:
            raise _unavailable(error) from error

    async def freeze(self, request: Request) -> Response:
        """POST /carts/{id}/freeze; `fingerprint` and `total_cents` in the body are of the order that is placed."""
        cart_id = cart_id_of(request.params["id"])
        key = request.idempotency_key()
        wanted = request.json_object() if request.body else {}
        fingerprint, total_cents = str(wanted.get("fingerprint", "")), wanted.get("total_cents", 0)
        if type(total_cents) is not int or total_cents < 0:
            raise bad_request("total_cents must be a whole number of cents")
        try:
            cart = await self._carts.freeze(cart_id, key, fingerprint, total_cents)
        except ValkeyError as error:
            raise _unavailable(error) from error
        match cart:
            case Cart():
                log("cart-frozen", cart_id=cart_id, total_cents=cart.total_cents)
                return _reply(cart_id, cart)
            case KeyReused():
                raise key_reused()
            case None:
                raise Problem(
                    404,
                    "cart-empty",
                    "The cart is empty",
                    "There is nothing in this cart; carts are kept for half an hour.",
                    safe_to_retry=False,
                )


def _reply(cart_id: str, cart: Cart) -> Response:
    lines = [{"sku": line.sku, "quantity": line.quantity, "price_cents": line.price_cents} for line in cart.lines]
    return json_response({"cart_id": cart_id, "lines": lines, "total_cents": cart.total_cents})


def _unavailable(error: ValkeyError) -> Problem:
    log("cart-store-failed", level="error", error=str(error))
    return cart_unavailable()


def _lines(values: Any) -> Sequence[Line]:
    if not isinstance(values, list) or not 0 < len(values) <= store.MAX_LINES:
        raise bad_request(f"lines must be a list of 1 to {store.MAX_LINES} lines")
    lines = [_line(value) for value in values]
    if len({line.sku for line in lines}) != len(lines):
        raise bad_request("lines must name each sku once")
    return lines


def _line(value: Any) -> Line:
    if not isinstance(value, dict):
        raise bad_request('a line is {"sku": …, "quantity": …, "price_cents": …}')
    sku, quantity, price_cents = value.get("sku"), value.get("quantity"), value.get("price_cents")
    if not isinstance(sku, str) or not 0 < len(sku) <= 64 or not sku.isprintable():
        raise bad_request("a line has a sku")
    if type(quantity) is not int or not 0 < quantity <= store.MAX_QUANTITY:
        raise bad_request(f"a line has a quantity from 1 to {store.MAX_QUANTITY}")
    if type(price_cents) is not int or not 0 < price_cents <= 100_000_000:
        raise bad_request("a line has a price in cents")
    return Line(sku, quantity, price_cents)


def build() -> Service:
    """The service, not yet started."""
    door = CartDoor()
    return Service(
        "cart",
        [
            Route("POST", "/carts/{id}/lines", door.add_lines, group="cart"),
            Route("GET", "/carts/{id}", door.get_cart, group="cart"),
            Route("POST", "/carts/{id}/freeze", door.freeze, group="order"),
        ],
        startup=[door.open],
        shutdown=[door.close],
        max_in_flight={
            "cart": env_int("MAX_CARTS_IN_FLIGHT", 200),
            "order": env_int("MAX_FREEZES_IN_FLIGHT", 100),
        },
    )
