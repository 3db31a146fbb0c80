"""Shoppers: they look at pages, fill a cart, and seven of ten leave it at that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate
from random import Random
from urllib.parse import quote_plus

import msgspec

from crashcart.loadkit.answers import Answer, Failure, Request
from crashcart.loadkit.desk import Desk
from crashcart.loadkit.intents import Ending, IntentOutcome
from crashcart.loadkit.run import NotReady
from crashcart.loadkit.shoppers import Shopper
from crashcart.loadkit.streams import choose
from crashcart.loadkit.transport import Transport
from loadtests.catalogue import Catalogue, Product, Shelf, fetch
from loadtests.checkout import CHECKOUT_OUTCOMES, Order, place
from loadtests.mix import Mix
from loadtests.promises import cart_total_cents, home_page, product_page, search_results

HOME = Request("GET", "/", "/")
_WENT = ("ok", "error", "timeout", "refused")


class Page(msgspec.Struct, frozen=True):
    """One page to look at: a product's, else a search, else the home page."""

    product: Product | None = None
    word: str = ""


class Visit(msgspec.Struct, frozen=True):
    """What one shopper means to do, drawn at arrival. Times to think are in seconds."""

    shopper: Shopper
    mix: Mix
    pages: tuple[Page, ...]
    page_thoughts_s: tuple[float, ...]
    """Before each page; the first is 0."""
    cart_calls: tuple[tuple[tuple[str, int], ...], ...]
    """Lines (sku, quantity) of each call."""
    cart_thoughts_s: tuple[float, ...]
    checkout_thought_s: float
    double_click: bool
    prices: Mapping[str, int]
    """Of everything there is: sku → cents."""

    @property
    def purchase_planned_s(self) -> float | None:
        """Arrival and all thinking: when they would click if the shop answered at once."""
        if self.shopper.key is None:
            return None
        return self.shopper.arrival_s + sum(self.page_thoughts_s) + sum(self.cart_thoughts_s) + self.checkout_thought_s

    def run(self, desk: Desk) -> None:
        """Pages, cart, perhaps the click."""
        _Walk(self, desk).go()


class _Walk:
    """One visit under way. The shopper's own time runs on from answer to answer."""

    def __init__(self, visit: Visit, desk: Desk) -> None:
        self._visit = visit
        self._desk = desk
        self._mix = visit.mix
        self._time_s = visit.shopper.arrival_s
        self._waited_s = 0.0

    def go(self) -> None:
        left = self._browse() or self._fill_cart()
        if left is not None:
            self._desk.end_intent(left)

    def _browse(self) -> Ending | None:
        patience, habit = self._mix.patience_s, self._mix.retries.page
        for page, thought_s in zip(self._visit.pages, self._visit.page_thoughts_s, strict=True):
            if (late := self._think(thought_s)) is not None:
                return late
            done = self._desk.errand(
                "browse",
                _page_request(page),
                partial(_page_kept, page, self._visit.prices),
                intended_s=self._time_s,
                timeout_s=patience.page,
                until_s=self._time_s + patience.browsing - self._waited_s,
                retries=habit,
            )
            self._answered(done.done_s)
            if done.failure is not None:
                return _left(done.failure)
        return None

    def _fill_cart(self) -> Ending | None:
        shopper, patience = self._visit.shopper, self._mix.patience_s
        cart_id = shopper.key_for("cart")
        basket: dict[str, int] = {}
        total_cents = 0
        for number, lines in enumerate(self._visit.cart_calls):
            if (late := self._think(self._visit.cart_thoughts_s[number])) is not None:
                return late
            basket.update(lines)
            done = self._desk.errand(
                "cart",
                _cart_request(shopper, cart_id, number, lines),
                lambda answer: cart_total_cents(answer, basket, self._visit.prices),
                intended_s=self._time_s,
                timeout_s=patience.cart,
                until_s=self._time_s + patience.browsing - self._waited_s,
                retries=self._mix.retries.cart,
            )
            self._answered(done.done_s)
            if done.value is None:
                return _left(done.failure)
            total_cents = done.value
        if shopper.key is None:
            return None
        return self._think(self._visit.checkout_thought_s) or self._buy(cart_id, basket, total_cents)

    def _buy(self, cart_id: str, basket: dict[str, int], total_cents: int) -> Ending:
        order = Order.of(self._visit.shopper, cart_id, basket, total_cents)
        return place(self._desk, order, self._mix, intended_s=self._time_s, double_click=self._visit.double_click)

    def _think(self, thought_s: float) -> Ending | None:
        """Let time pass; an ending where all patience is spent."""
        if self._waited_s >= self._mix.patience_s.browsing:
            return Ending("gave_up", problem="too-slow")
        self._time_s += thought_s
        self._desk.clock.sleep_until(self._time_s)
        return None

    def _answered(self, done_s: float) -> None:
        self._waited_s += done_s - self._time_s
        self._time_s = done_s


class Shoppers:
    """The project's behaviour, as the harness's load kit asks for it."""

    def __init__(self, mix: Mix, business_lines: Sequence[str]) -> None:
        """`business_lines`: those that shoppers are declared to belong to."""
        self._mix = mix
        self._business_lines = tuple(business_lines)
        self._catalogue = Catalogue()
        self._page_totals = tuple(accumulate(mix.pages))
        self._line_totals = tuple(accumulate(mix.lines))
        self._quantity_totals = tuple(accumulate(mix.quantity))

    @property
    def operations(self) -> Mapping[str, tuple[str, ...]]:
        """What is counted, and how it can end."""
        return {"browse": _WENT, "cart": _WENT, "checkout": CHECKOUT_OUTCOMES}

    def prepare(self, transport: Transport) -> None:
        """Fetch the catalogue. NotReady until the shop has one, and all of it."""
        self._catalogue = fetch(transport, self._business_lines, self._mix.zipf, self._mix.products)
        deal = self._mix.deal
        if deal.share > 0 and not any(shelf.of_rank(deal.rank) for shelf in self._catalogue.shelves.values()):
            raise NotReady(f"GET /catalogue: no product of rank {deal.rank}, which is to be the deal")

    def plan(self, shopper: Shopper) -> Visit:
        """All that this one means to do. What they put in the cart and how they go about it are separate streams."""
        basket, walk = shopper.stream("basket"), shopper.stream("walk")
        mix, shelf = self._mix, self._catalogue.shelves[shopper.cohorts["business_line"]]
        deal = shelf.of_rank(mix.deal.rank) if mix.deal.share > 0 else None
        if deal is not None and shopper.stream("deal").random() < mix.deal.share:
            return self._visit(shopper, (Page(deal),), (((deal.sku, 1),),), walk)
        products = shelf.choose_several(_count(self._line_totals, basket), basket)
        lines = tuple((product.sku, _count(self._quantity_totals, basket)) for product in products)
        pages = self._pages(products, shelf, walk)
        cart_calls: tuple[tuple[tuple[str, int], ...], ...] = (lines,)
        if len(lines) > 1 and walk.random() < mix.two_cart_calls:
            cart_calls = (lines[:1], lines[1:])
        return self._visit(shopper, pages, cart_calls, walk)

    def _visit(
        self,
        shopper: Shopper,
        pages: tuple[Page, ...],
        cart_calls: tuple[tuple[tuple[str, int], ...], ...],
        walk: Random,
    ) -> Visit:
        mix, think = self._mix, self._mix.think_s
        return Visit(
            shopper=shopper,
            mix=mix,
            pages=pages,
            page_thoughts_s=(0.0, *(_thought(think.page, think.most, walk) for _ in pages[1:])),
            cart_calls=cart_calls,
            cart_thoughts_s=tuple(_thought(think.cart, think.most, walk) for _ in cart_calls),
            checkout_thought_s=_thought(think.checkout, think.most, walk),
            double_click=walk.random() < mix.double_click.share,
            prices=self._catalogue.prices,
        )

    def _pages(self, products: Sequence[Product], shelf: Shelf, walk: Random) -> tuple[Page, ...]:
        """The first page is now and then a search or the home page; products they will buy come before others."""
        count = _count(self._page_totals, walk)
        first = walk.random() - self._mix.first_page.home
        pages: list[Page] = []
        if first < 0:
            pages.append(Page())
        elif first < self._mix.first_page.search:
            pages.append(Page(word=walk.choice(self._mix.search_words)))
        pages += [Page(product) for product in products[: count - len(pages)]]
        pages += [Page(shelf.choose(walk)) for _ in range(count - len(pages))]
        return tuple(pages)


def _count(totals: Sequence[float], random: Random) -> int:
    return choose(totals, random) + 1


def _thought(mean_s: float, most_s: float, random: Random) -> float:
    return min(random.expovariate(1 / mean_s), most_s) if mean_s > 0 else 0.0


def _page_request(page: Page) -> Request:
    if page.product is not None:
        return Request("GET", page.product.path, "/products/[sku]")
    return Request("GET", f"/search?q={quote_plus(page.word)}", "/search") if page.word else HOME


def _page_kept(page: Page, prices: Mapping[str, int], answer: Answer) -> object | None:
    if page.product is not None:
        sku = page.product.sku
        return product_page(answer, sku, prices[sku])
    return search_results(answer, page.word, prices) if page.word else home_page(answer)


def _cart_request(shopper: Shopper, cart_id: str, number: int, lines: Sequence[tuple[str, int]]) -> Request:
    body = msgspec.json.encode({"lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines]})
    headers = (("Idempotency-Key", shopper.key_for(f"cart-{number}")), ("X-Cohort", shopper.cohort_header))
    return Request("POST", f"/carts/{cart_id}/lines", "/carts/[id]/lines", body, headers)


def _left(failure: Failure | None) -> Ending:
    """Why the shopper never came to the click."""
    assert failure is not None
    outcome: IntentOutcome = "gave_up" if failure.kind == "timeout" else "blocked"
    return Ending(outcome, status=failure.status, problem=failure.problem, reference=failure.reference)
