"""The catalogue in memory, every page of it rendered but for the stock: browsing needs no other service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from stack.kit.http import Response, json_response

MAX_RESULTS = 20
_REMEMBERED_SEARCHES = 2_000


@dataclass(frozen=True, slots=True)
class Product:
    """What a page and a cart need of a product. `opening` is its page as JSON up to the stock."""

    sku: str
    name: str
    price_cents: int
    business_line: str
    opening: bytes


class Shelf:
    """All products, in order of popularity."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """`rows` as GET /products of the inventory gives them; raises KeyError or TypeError when they are not that."""
        self._products = {row["sku"]: _product(row) for row in rows}
        self._ranked = list(self._products.values())
        self._words: dict[str, list[int]] = {}
        for place, product in enumerate(self._ranked):
            for word in set(product.name.lower().split()):
                self._words.setdefault(word, []).append(place)
        self._searches: dict[str, Response] = {}
        self.catalogue = json_response(
            {
                "skus_by_rank": [
                    {"sku": row["sku"], "price_cents": row["price_cents"], "business_line": row["business_line"]}
                    for row in rows
                ]
            }
        )

    @property
    def business_lines(self) -> tuple[str, ...]:
        """The lines that the products belong to."""
        return tuple(sorted({product.business_line for product in self._ranked}))

    def __len__(self) -> int:
        return len(self._ranked)

    def get(self, sku: str) -> Product | None:
        """A product by its sku."""
        return self._products.get(sku)

    def search(self, text: str) -> Response:
        """At most 20 products whose names have all these words, popular ones first; the last word may be begun only."""
        words = " ".join(text.lower().split()[:8])
        known = self._searches.get(words)
        if known is None:
            known = json_response({"items": [_item(self._ranked[place]) for place in self._find(words.split())]})
            if len(self._searches) >= _REMEMBERED_SEARCHES:
                self._searches.clear()
            self._searches[words] = known
        return known

    def _find(self, words: Sequence[str]) -> list[int]:
        if not words:
            return []
        *whole, last = words
        places = set(self._words.get(last, ())) or self._begun(last)
        for word in whole:
            places &= set(self._words.get(word, ()))
        return sorted(places)[:MAX_RESULTS]

    def _begun(self, beginning: str) -> set[int]:
        return {place for word, places in self._words.items() if word.startswith(beginning) for place in places}


class Stock:
    """What is known of the stock, and since when. `endings` close a page: available, sold out."""

    def __init__(self, as_of: str | None, sold_out: Sequence[str], *, stale: bool) -> None:
        self.as_of = as_of
        self.stale = stale
        self._sold_out = frozenset(sold_out)
        moment = orjson.dumps(as_of)
        self._unknown = b'null,"as_of":' + moment + b"}"
        self._there = b'true,"as_of":' + moment + b"}"
        self._gone = b'false,"as_of":' + moment + b"}"

    def aged(self) -> Stock:
        """The same, no longer to be relied on."""
        return Stock(self.as_of, tuple(self._sold_out), stale=True)

    def page(self, product: Product) -> Response:
        """A product's page: whether it is available is null when that is not known."""
        if self.stale:
            return Response(product.opening + self._unknown)
        return Response(product.opening + (self._gone if product.sku in self._sold_out else self._there))


def _product(row: Mapping[str, Any]) -> Product:
    shown = {name: row[name] for name in ("sku", "name", "price_cents", "business_line")}
    return Product(
        row["sku"], row["name"], row["price_cents"], row["business_line"], orjson.dumps(shown)[:-1] + b',"available":'
    )


def _item(product: Product) -> dict[str, object]:
    return {"sku": product.sku, "name": product.name, "price_cents": product.price_cents}
