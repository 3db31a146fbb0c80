"""Keeps the shelf and the stock in memory, and serves pages from them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import orjson

from stack.kit import context
from stack.kit.app import Request, Response
from stack.kit.client import Client, LinkError
from stack.kit.log import log
from stack.kit.problems import bad_request, not_found
from stack.storefront.shelf import Shelf, Stock

REFRESH_S = 1.0
STALE_S = 5.0
_PRODUCTS_S = 15.0
"""Time for the whole catalogue: a megabyte over a slow link. It is asked for at start-up and when it has changed."""


class Browsing:
    """The handlers, and the loop that refreshes what they serve from."""

    def __init__(self, inventory: Client, saved: Path) -> None:
        self._inventory = inventory
        self._saved = saved
        self._shelf = Shelf([])
        self._business_lines: tuple[str, ...] = ()
        self._rows: list[dict[str, Any]] = []
        self._incomplete = False
        self._version = 0
        self._stock = Stock(None, (), stale=True)
        self._stock_at = 0.0

    @property
    def is_stale(self) -> bool:
        """Whether the stock has not been heard of for too long."""
        return self._stock.stale

    @property
    def products(self) -> int:
        """How many products there are."""
        return len(self._shelf)

    def price_cents(self, sku: str) -> int | None:
        """A product's price; None when there is no such product."""
        product = self._shelf.get(sku)
        return None if product is None else product.price_cents

    @property
    def business_lines(self) -> tuple[str, ...]:
        """The lines that there is something of."""
        return self._business_lines

    def business_line(self, sku: str) -> str | None:
        """A product's line; None when there is no such product."""
        product = self._shelf.get(sku)
        return None if product is None else product.business_line

    # ---- handlers

    def product(self, request: Request) -> Response:
        """GET /products/{sku}."""
        product = self._shelf.get(request.params["sku"])
        if product is None:
            raise not_found("there is no such product")
        return self._stock.page(product)

    def search(self, request: Request) -> Response:
        """GET /search?q=…."""
        text = request.query("q")
        if text is None:
            raise bad_request("a search needs words, e.g. /search?q=lamp")
        return self._shelf.search(text)

    def catalogue(self, _request: Request) -> Response:
        """GET /catalogue."""
        return self._shelf.catalogue

    # ---- what they serve from

    async def load(self) -> None:
        """Fill the shelf before the door opens: from the inventory, or from what was saved where that is gone."""
        if self._saved.exists():
            self._rows = orjson.loads(self._saved.read_bytes())
        while not await self._refresh():
            if self._saved.exists():
                self._put_out(orjson.loads(self._saved.read_bytes()))
                log("catalogue-from-disk", level="error", products=len(self._shelf))
                return
            await asyncio.sleep(0.1)

    async def keep_fresh(self) -> None:
        """Ask for the stock each second, and for the catalogue when it has changed."""
        while True:
            await asyncio.sleep(REFRESH_S)
            if not await self._refresh() and not self._stock.stale and monotonic() - self._stock_at > STALE_S:
                self._stock = self._stock.aged()
                log("stock-stale", level="error", as_of=self._stock.as_of)

    async def _refresh(self) -> bool:
        try:
            with context.bound(deadline_s=_PRODUCTS_S):
                reply = await self._inventory.call("GET", "/stock")
                if reply.status != 200:
                    return False
                told = reply.json()
                if told["catalogue_version"] != self._version or (self._incomplete and not told["damaged"]):
                    await self._reload(told["catalogue_version"])
        except LinkError:
            return False  # counted by the client; the pages go on with what is known
        self._stock = Stock(told["as_of"], [*told["sold_out"], *told["unavailable"]], stale=False)
        self._stock_at = monotonic()
        return True

    async def _reload(self, version: int) -> None:
        reply = await self._inventory.call("GET", "/products", timeout_s=_PRODUCTS_S)
        if reply.status != 200:
            return
        self._incomplete = b"x-incomplete" in reply.headers
        rows = reply.json()
        if self._incomplete:
            # what cannot be read just now is as it was
            rows = sorted([*rows, *_missing(self._rows, rows)], key=lambda row: row["rank"])
        self._put_out(rows)
        self._version = version
        self._saved.write_bytes(orjson.dumps(rows))
        log("catalogue-loaded", products=len(self._shelf), version=version, incomplete=self._incomplete)

    def _put_out(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows
        self._shelf = Shelf(rows)
        self._business_lines = self._shelf.business_lines


def _missing(known: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    there = {row["sku"] for row in rows}
    return [row for row in known if row["sku"] not in there]
