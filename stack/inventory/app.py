"""The inventory's door: the catalogue, the stock, and holds on it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import UUID

from stack.inventory.store import Held, KeyReused, Line, OnShelf, Refused, Short, Stock, Unreadable
from stack.kit.app import Request, Response, Route, Service, json_response
from stack.kit.database import Database, DatabaseError, DatabaseOutcomeUnknown, connect
from stack.kit.log import log
from stack.kit.problems import Problem, bad_request, key_reused
from stack.kit.settings import env_float, env_int

MAX_LINES = 50
MAX_QUANTITY = 1_000
MAX_ORDERS = 500
MAX_TTL_S = 3600.0


class Inventory:
    """The handlers."""

    def __init__(self) -> None:
        self._database: Database | None = None
        self._snapshot: Response | None = None
        self._snapshot_until = 0.0
        self._skus: frozenset[str] = frozenset()
        self._skus_version: int | None = None
        self._snapshot_lock = asyncio.Lock()
        self._sweep_s = env_float("SWEEP_S", 1.0)
        self._snapshot_s = env_float("STOCK_SNAPSHOT_S", 0.5)

    async def open(self) -> None:
        """Connect to the database."""
        self._database = await connect(
            "inventory-db", min_size=env_int("DB_MIN_SIZE", 8), max_size=env_int("DB_MAX_SIZE", 24)
        )

    async def close(self) -> None:
        """Leave the database."""
        if self._database is not None:
            await self._database.close()

    @property
    def _stock(self) -> Stock:
        assert self._database is not None, "open() comes first"
        return Stock(self._database)

    # ---- catalogue and stock

    async def products(self, _request: Request) -> Response:
        """GET /products."""
        try:
            products, complete = await self._stock.products()
        except DatabaseError as error:
            raise _unavailable(error) from error
        return json_response(products, headers={} if complete else {"x-incomplete": "1"})

    async def stock(self, _request: Request) -> Response:
        """GET /stock: what is sold out, at most half a second old."""
        async with self._snapshot_lock:
            if self._snapshot is None or monotonic() >= self._snapshot_until:
                as_of = datetime.now(UTC).isoformat(timespec="milliseconds")
                try:
                    shelf = await self._stock.on_shelf()
                    unreadable = await self._unreadable(shelf)
                except DatabaseError as error:
                    raise _unavailable(error) from error
                document = {
                    "as_of": as_of,
                    "catalogue_version": shelf.version,
                    "sold_out": shelf.sold_out,
                    "damaged": shelf.readable is not None,
                    "unavailable": unreadable,
                }
                self._snapshot = json_response(document)
                self._snapshot_until = monotonic() + self._snapshot_s
            return self._snapshot

    async def _unreadable(self, shelf: OnShelf) -> list[str]:
        """Products that are there and can not be read: those known from before the damage that are missing now."""
        if shelf.readable is not None:
            log("products-damaged", level="error", unreadable=len(self._skus - shelf.readable))
            return sorted(self._skus - shelf.readable)
        if shelf.version != self._skus_version:
            self._skus, self._skus_version = await self._stock.skus(), shelf.version
        return []

    # ---- holds

    async def hold(self, request: Request) -> Response:
        """POST /holds."""
        body = request.json_object()
        order_id = _order_id(body.get("order_id"))
        lines = _lines(body.get("lines"))
        ttl_s = _ttl_s(body.get("ttl_s"))
        try:
            outcome = await self._stock.hold(order_id, lines, ttl_s)
        except DatabaseError as error:
            raise _unavailable(error) from error
        match outcome:
            case Held(expires_at):
                log("stock-held", order_id=str(order_id), lines=len(lines))
                return json_response({"hold_id": str(order_id), "expires_at": expires_at}, 201)
            case Short(skus):
                log("sold-out", order_id=str(order_id), skus=skus)
                raise Problem(
                    409,
                    "sold-out",
                    "Sold out",
                    f"There is not enough of {', '.join(skus)}; nothing was held.",
                    safe_to_retry=False,
                    extra={"skus": list(skus)},
                )
            case Unreadable(skus):
                log("product-unavailable", level="error", order_id=str(order_id), skus=skus)
                raise Problem(
                    503,
                    "product-unavailable",
                    "Temporarily not available",
                    f"{', '.join(skus)} cannot be sold for the moment; nothing was held.",
                    safe_to_retry=True,
                    retry_after_s=30.0,
                    extra={"skus": list(skus), "done": False},
                )
            case Refused(state):
                raise Problem(
                    409,
                    "hold-ended",
                    "This hold has ended",
                    f"The order's hold was {state} before; it cannot be held again.",
                    safe_to_retry=False,
                    extra={"state": state},
                )
            case KeyReused():
                raise key_reused()

    async def confirm(self, request: Request) -> Response:
        """POST /holds/confirm."""
        order_ids = _order_ids(request.json_object())
        try:
            outcome = await self._stock.confirm(order_ids)
        except DatabaseError as error:
            raise _unavailable(error) from error
        log("stock-sold", order_ids=outcome.confirmed)
        if outcome.gone:
            log("stock-gone", level="error", order_ids=outcome.gone)
        return json_response({"confirmed": outcome.confirmed, "gone": outcome.gone})

    async def release(self, request: Request) -> Response:
        """POST /holds/release."""
        order_ids = _order_ids(request.json_object())
        try:
            released = await self._stock.release(order_ids)
        except DatabaseError as error:
            raise _unavailable(error) from error
        log("stock-released", order_ids=released)
        return json_response({"released": released})

    async def extend(self, request: Request) -> Response:
        """POST /holds/extend."""
        body = request.json_object()
        order_ids = _order_ids(body)
        try:
            extended = await self._stock.extend(order_ids, _ttl_s(body.get("ttl_s")))
        except DatabaseError as error:
            raise _unavailable(error) from error
        gone = [str(order_id) for order_id in order_ids if str(order_id) not in extended]
        return json_response({"extended": extended, "gone": gone})

    # ---- background

    async def sweep(self) -> None:
        """Put back, each second, what was held for too long."""
        while True:
            await asyncio.sleep(self._sweep_s)
            try:
                while (expired := await self._stock.expire(100)) > 0:
                    log("holds-expired", holds=expired)
            except DatabaseError as error:
                log("sweep-failed", level="error", error=str(error))


def _unavailable(error: DatabaseError) -> Problem:
    log("database-failed", level="error", error=str(error))
    doubt = isinstance(error, DatabaseOutcomeUnknown)
    return Problem(
        503,
        "inventory-unavailable",
        "The stock cannot be asked just now",
        "It may or may not have been done; asking again does it once." if doubt else "Nothing was done.",
        safe_to_retry=True,
        retry_after_s=1.0,
        extra={"done": None if doubt else False},
    )


def _order_id(value: Any) -> UUID:
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError) as error:
        raise bad_request(f"order_id must be a UUID, not {value!r}") from error


def _order_ids(body: dict[str, Any]) -> list[UUID]:
    values = body.get("order_ids")
    if not isinstance(values, list) or not 0 < len(values) <= MAX_ORDERS:
        raise bad_request(f"order_ids must be a list of 1 to {MAX_ORDERS} UUIDs")
    return [_order_id(value) for value in values]


def _lines(values: Any) -> Sequence[Line]:
    if not isinstance(values, list) or not 0 < len(values) <= MAX_LINES:
        raise bad_request(f"lines must be a list of 1 to {MAX_LINES} lines")
    lines = [_line(value) for value in values]
    if len({line.sku for line in lines}) != len(lines):
        raise bad_request("lines must name each sku once")
    return lines


def _line(value: Any) -> Line:
    if not isinstance(value, dict):
        raise bad_request('a line is {"sku": …, "quantity": …}')
    sku, quantity = value.get("sku"), value.get("quantity")
    if (
        not isinstance(sku, str)
        or not sku.isprintable()
        or type(quantity) is not int
        or not 0 < quantity <= MAX_QUANTITY
    ):
        raise bad_request(f"a line has a sku and a quantity from 1 to {MAX_QUANTITY}")
    return Line(sku, quantity)


def _ttl_s(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= MAX_TTL_S:
        raise bad_request(f"ttl_s must be a number of seconds, at most {MAX_TTL_S:.0f}")
    return float(value)


def build() -> Service:
    """The service, not yet started."""
    inventory = Inventory()
    limits = {"hold": env_int("MAX_HOLDS_IN_FLIGHT", 100), "settle": env_int("MAX_SETTLING_IN_FLIGHT", 50), "read": 20}
    return Service(
        "inventory",
        [
            Route("GET", "/products", inventory.products, group="read"),
            Route("GET", "/stock", inventory.stock, group="read"),
            Route("POST", "/holds", inventory.hold, group="hold"),
            Route("POST", "/holds/confirm", inventory.confirm, group="settle"),
            Route("POST", "/holds/release", inventory.release, group="settle"),
            Route("POST", "/holds/extend", inventory.extend, group="settle"),
        ],
        startup=[inventory.open],
        shutdown=[inventory.close],
        background=[inventory.sweep],
        max_in_flight=limits,
    )
