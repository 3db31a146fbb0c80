"""What the shop promises for each request, and whether an answer keeps it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeVar

import msgspec

from crashcart.loadkit.answers import Answer, failure_of, text
from crashcart.loadkit.desk import Wrong

Shape = TypeVar("Shape")


STALE_S = 10.0
"""A page that says whether there is any left says so of no longer ago; the shop itself calls 5 s too long."""
AHEAD_S = 2.0
"""And of no later than now: shop and load go by the same machine's clock, give or take a step of it."""

_JSON = "application/json"
_SEARCH_FORM = b'<form action="/search">'


class _Item(msgspec.Struct, frozen=True):
    sku: str
    name: str
    price_cents: int


class _Product(_Item, frozen=True):
    available: bool | None = None
    """None: the page says that it does not know."""
    as_of: datetime | None = None


class _Found(msgspec.Struct, frozen=True):
    items: list[_Item]


class _Line(msgspec.Struct, frozen=True):
    sku: str
    quantity: int


class _Cart(msgspec.Struct, frozen=True):
    lines: list[_Line]
    total_cents: int


class _Placed(msgspec.Struct, frozen=True):
    order_id: str
    reference: str
    state: str
    total_cents: int


ENDED_BADLY = ("order-failed", "order-cancelled")
"""Problems (409) that are the last word on an order, whatever was said before: it is not done and will not be."""


class OrderAnswer(msgspec.Struct, frozen=True):
    """A final word on an order: done, or refused for a reason of business."""

    outcome: Literal["ok", "declined", "sold_out"]
    status: int
    problem: str = ""
    reference: str = ""
    order_id: str = ""


class NewTotal(msgspec.Struct, frozen=True):
    """Nothing was ordered: the cart costs something else by now. A page shows it, and the shopper may agree."""

    total_cents: int
    reference: str = ""


def product_page(answer: Answer, sku: str, price_cents: int) -> _Product | None:
    """The page of that product at that price; what it says of the stock it has heard lately."""
    if answer.status != 200:
        return None
    page = _decoded(answer, _Product)
    if page.sku != sku or page.price_cents != price_cents:
        raise Wrong(f"asked for {sku} at {price_cents}, got {text(page.sku)} at {page.price_cents}")
    if page.available is not None:
        _heard_lately(page.as_of)
    return page


def _heard_lately(as_of: datetime | None) -> None:
    if as_of is None or as_of.tzinfo is None:
        raise Wrong("it says whether there is any left, and not when that was so")
    age_s = time.time() - as_of.timestamp()
    if age_s > STALE_S:
        raise Wrong(f"it says whether there is any left as of {age_s:.0f} s ago, and calls that the present")
    if age_s < -AHEAD_S:
        raise Wrong(f"it says whether there is any left as of {-age_s:.0f} s from now, which nobody can know yet")


def search_results(answer: Answer, word: str, prices: Mapping[str, int]) -> _Found | None:
    """Products whose names have the word, or one that begins with it, at their prices (sku → cents).

    There are some of each word that is searched.
    """
    if answer.status != 200:
        return None
    found = _decoded(answer, _Found)
    if not found.items:
        raise Wrong(f"nothing is found for {word}")
    begins = [f" {part}" for part in word.lower().split()]
    for item in found.items:
        name = f" {item.name.lower()}"
        for begin in begins:  # a generator for `all` would cost as much as the rest of this
            if begin not in name:
                raise Wrong(f"searched for {word}, found {text(item.name)}")
        if prices.get(item.sku) != item.price_cents:
            raise Wrong(f"found {text(item.sku)} at {item.price_cents}, which costs {prices.get(item.sku)}")
    return found


def home_page(answer: Answer) -> bytes | None:
    """HTML with the field to search in, which no page about some trouble has."""
    if answer.status != 200:
        return None
    if not answer.content_type.startswith("text/html") or _SEARCH_FORM not in answer.body:
        kind = text(answer.content_type) or "nothing"
        raise Wrong(f"the home page is {len(answer.body)} bytes of {kind} without the shop's search form")
    return answer.body


def cart_total_cents(answer: Answer, basket: Mapping[str, int], prices: Mapping[str, int]) -> int | None:
    """The cart holds what was put in (sku → pieces), no more and no less, at what it costs (sku → cents); its total."""
    if answer.status != 200:
        return None
    cart = _decoded(answer, _Cart)
    if len(cart.lines) != len(basket) or {line.sku: line.quantity for line in cart.lines} != basket:
        raise Wrong(f"{len(cart.lines)} lines are not the {len(basket)} that were put in")
    total_cents = sum([quantity * prices[sku] for sku, quantity in basket.items()])
    if cart.total_cents != total_cents:
        raise Wrong(f"the cart's total is {cart.total_cents}, and its lines cost {total_cents}")
    return total_cents


def order_answer(answer: Answer, total_cents: int) -> OrderAnswer | NewTotal | None:
    """Accepted at that price, declined, or sold out; or another total to agree to."""
    if answer.status in (200, 201):
        placed = _decoded(answer, _Placed)
        if (
            not placed.order_id
            or not placed.reference
            or placed.state != "accepted"
            or placed.total_cents != total_cents
        ):
            raise Wrong(f"state {text(placed.state)} at {placed.total_cents} instead of accepted at {total_cents}")
        return OrderAnswer("ok", answer.status, reference=text(placed.reference), order_id=text(placed.order_id))
    if answer.status not in (402, 409):
        return None
    said = failure_of(answer)
    if (answer.status, said.problem) == (402, "declined"):
        return OrderAnswer("declined", answer.status, said.problem, said.reference)
    if (answer.status, said.problem) == (409, "sold-out"):
        return OrderAnswer("sold_out", answer.status, said.problem, said.reference)
    if (answer.status, said.problem) == (409, "price-changed"):
        document = answer.json()
        new_cents = document.get("total_cents") if isinstance(document, dict) else None
        if isinstance(new_cents, int) and not isinstance(new_cents, bool) and 0 < new_cents != total_cents:
            return NewTotal(new_cents, said.reference)
    return None


def _decoded(answer: Answer, shape: type[Shape]) -> Shape:
    if answer.content_type != _JSON and answer.content_type.partition(";")[0].strip().lower() != _JSON:
        raise Wrong(f"it is called {text(answer.content_type) or 'nothing'} and not {_JSON}")
    try:
        return msgspec.json.decode(answer.body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Wrong(text(str(error))) from error
