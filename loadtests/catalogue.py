"""What there is to buy, as the shop itself says: asked once, before the first arrival."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from random import Random
from typing import Annotated
from urllib.parse import quote

import msgspec

from crashcart.loadkit.answers import Answer, Request, text
from crashcart.loadkit.run import NotReady
from crashcart.loadkit.streams import choose
from crashcart.loadkit.transport import Transport

CATALOGUE = Request("GET", "/catalogue", "/catalogue")
_TIMEOUT_S = 5.0
_BODY_MAX_BYTES = 16 << 20


class _Item(msgspec.Struct, frozen=True):
    sku: str
    business_line: str
    price_cents: Annotated[int, msgspec.Meta(gt=0)]


class _Document(msgspec.Struct, frozen=True):
    skus_by_rank: list[_Item]


class Product(msgspec.Struct, frozen=True):
    """One product as far as a shopper's request needs it."""

    sku: str
    path: str
    """Of its page, percent-encoded."""


class Shelf:
    """The products of one business line, most popular first."""

    def __init__(self, ranked: Sequence[tuple[int, str]], zipf: float) -> None:
        """`ranked`: (rank in the whole catalogue from 1, sku)."""
        self._products = tuple(Product(sku, f"/products/{quote(sku, safe='')}") for _, sku in ranked)
        self._by_rank = {rank: product for (rank, _), product in zip(ranked, self._products, strict=True)}
        self._totals = tuple(accumulate(rank**-zipf for rank, _ in ranked))

    def __len__(self) -> int:
        return len(self._products)

    def of_rank(self, rank: int) -> Product | None:
        """The product of this place in the whole catalogue; None where it is not of this business line."""
        return self._by_rank.get(rank)

    def choose(self, random: Random) -> Product:
        """One product, the popular ones more often."""
        return self._products[choose(self._totals, random)]

    def choose_several(self, count: int, random: Random) -> tuple[Product, ...]:
        """Up to `count` different products."""
        chosen: dict[str, Product] = {}
        for _ in range(count * 10):
            product = self.choose(random)
            chosen[product.sku] = product
            if len(chosen) == count:
                break
        return tuple(chosen.values())


class Catalogue(msgspec.Struct, frozen=True):
    """All that there is, as the shop said before the first arrival."""

    shelves: Mapping[str, Shelf] = {}
    """By business line."""
    prices: Mapping[str, int] = {}
    """Of every sku, in cents. They stay as they are while shoppers are about."""


def fetch(transport: Transport, business_lines: Iterable[str], zipf: float, products: int) -> Catalogue:
    """Ask the shop, which has so many products or more. NotReady says why there is nothing to choose from yet."""
    answer = transport.exchange(CATALOGUE, _TIMEOUT_S, _BODY_MAX_BYTES)
    if answer.broke or answer.status != 200:
        raise NotReady(f"GET /catalogue: {answer.broke or answer.status} {answer.detail}".strip())
    return _read(answer, business_lines, zipf, products)


def _read(answer: Answer, business_lines: Iterable[str], zipf: float, products: int) -> Catalogue:
    try:
        document = msgspec.json.decode(answer.body, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotReady(f"GET /catalogue: {text(str(error))}") from error
    prices = {item.sku: item.price_cents for item in document.skus_by_rank}
    offered = len(document.skus_by_rank)
    if len(prices) < offered:
        twice = next(sku for sku, times in Counter(item.sku for item in document.skus_by_rank).items() if times > 1)
        raise NotReady(f"GET /catalogue: {text(twice)} is there more than once")
    if offered < products:
        raise NotReady(f"GET /catalogue: {offered} products, and mix.products in loadtests/load.yaml says {products}")
    ranked: dict[str, list[tuple[int, str]]] = {}
    for rank, item in enumerate(document.skus_by_rank, start=1):
        ranked.setdefault(item.business_line, []).append((rank, item.sku))
    missing = [line for line in business_lines if line not in ranked]
    if missing:
        raise NotReady(f"GET /catalogue: nothing of business line {', '.join(missing)}")
    return Catalogue({line: Shelf(items, zipf) for line, items in ranked.items()}, prices)
