"""`mix` of load.yaml as types, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from crashcart.loadkit.retries import Retries
from crashcart.model.errors import UsageError
from crashcart.model.load import LoadProgram, laid_over


class FirstPage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shares of what a session begins with."""

    product: float
    search: float
    home: float


class ThinkTimes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Means of exponential times, in seconds, before the next page, a cart call and the click; cut off at `most`."""

    page: float
    cart: float
    checkout: float
    most: float


class DoubleClick(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Share of orders that are clicked twice, and how long after the first click the second comes."""

    share: float
    after_s: float


class Deal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A share of the shoppers of one product's business line come for that product alone: page, cart, click."""

    rank: int
    """Of the product, in the shop's own catalogue, from 1."""
    share: float


class Patience(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds: for one page, cart call or answer to an order; for all waiting before the click; for all after it."""

    page: float
    cart: float
    order: float
    browsing: float
    checkout: float


class RetryHabits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How shoppers try again."""

    page: Retries
    cart: Retries
    order: Retries


class Mix(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shoppers do. Lists of shares count from one: `pages[0]` is the share of sessions with one page."""

    pages: tuple[float, ...]
    first_page: FirstPage
    zipf: float
    lines: tuple[float, ...]
    quantity: tuple[float, ...]
    two_cart_calls: float
    think_s: ThinkTimes
    double_click: DoubleClick
    patience_s: Patience
    retries: RetryHabits
    search_words: tuple[str, ...]
    deal: Deal = Deal(rank=1, share=0.0)
    products: int = 0
    """So many the shop offers at least, or the load does not begin; 0: not declared."""

    @property
    def longest_visit_s(self) -> float:
        """From arrival until the slowest possible shopper has left."""
        thoughts = (len(self.pages) - 1) + 2 + 1
        return thoughts * self.think_s.most + self.patience_s.browsing + self.patience_s.checkout


def read_mix(program: LoadProgram, changes: Mapping[str, Any]) -> Mix:
    """The declared mix with a run's changes laid over it. UsageError says what does not fit."""
    try:
        mix = msgspec.convert(laid_over(program.mix, changes), Mix)
    except msgspec.ValidationError as error:
        raise UsageError(f"mix: {error}", where="loadtests/load.yaml") from error
    first = mix.first_page
    for name, shares in {
        "pages": mix.pages,
        "lines": mix.lines,
        "quantity": mix.quantity,
        "first_page": (first.product, first.search, first.home),
    }.items():
        if not shares or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise UsageError(f"mix: the shares of {name} do not sum to 1", where="loadtests/load.yaml")
    if not 0 <= mix.deal.share <= 1:
        raise UsageError(f"mix: deal.share is {mix.deal.share:g}, not from 0 to 1", where="loadtests/load.yaml")
    if mix.products < 0:
        raise UsageError(f"mix: products is {mix.products}, less than none", where="loadtests/load.yaml")
    if first.search > 0 and not mix.search_words:
        raise UsageError("mix: some search, but search_words is empty", where="loadtests/load.yaml")
    if mix.longest_visit_s > program.patience_s:
        raise UsageError(
            f"mix: a shopper may take {mix.longest_visit_s:g} s, longer than patience_s ({program.patience_s:g} s)",
            where="loadtests/load.yaml",
            remedy="raise patience_s, or lower thinking times and patience",
        )
    return mix
