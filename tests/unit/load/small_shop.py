"""A hand-written shop that works, and shoppers who know its catalogue."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from crashcart.loadkit.answers import Answer, Request
from crashcart.loadkit.desk import Desk
from crashcart.loadkit.shoppers import read_program
from loadtests.mix import read_mix
from loadtests.shoppers import Shoppers, Visit
from stack.storefront.truth import Truth, home_page
from tests.unit.load.fakes import FakeClock, FakeTransport, Rig, ok

LOAD_YAML = Path(__file__).parents[3] / "loadtests" / "load.yaml"
PROGRAM = read_program(LOAD_YAML)
MIX = read_mix(PROGRAM, {"products": 1000})
LINES = ("general", "photo")

CATALOGUE: list[dict[str, Any]] = [
    {"sku": f"{'P' if rank % 10 == 9 else 'G'}{rank:05d}", "price_cents": 100 + rank, "business_line": line}
    for rank in range(1000)
    for line in ("photo" if rank % 10 == 9 else "general",)
]
PRICES: Mapping[str, int] = {str(item["sku"]): int(item["price_cents"]) for item in CATALOGUE}


def cost_cents(basket: Mapping[str, int]) -> int:
    return sum(quantity * PRICES[sku] for sku, quantity in basket.items())


def home(*, ordering_open: bool = True) -> bytes:
    """The shop's own."""
    truth = Truth(lambda: not ordering_open)
    return home_page(truth.document(ordering_open=ordering_open, banner=None if ordering_open else "Back soon"), 1000)


def found(name: str, price_cents: int = 100) -> dict[str, Any]:
    return {"sku": "G00000", "name": name, "price_cents": price_cents}


class SmallShop:
    """A shop that works, but for what a test breaks."""

    def __init__(self, broken: Callable[[Request], Answer | None] = lambda _request: None) -> None:
        self._broken = broken
        self._cart: dict[str, int] = {}

    def __call__(self, request: Request) -> Answer:
        broken = self._broken(request)
        if broken is not None:
            return broken
        if request.path.startswith("/products/"):
            sku = request.path.removeprefix("/products/")
            return ok({"sku": sku, "name": "a thing", "price_cents": PRICES[sku]})
        if request.path == "/":
            return Answer(status=200, body=home(), content_type="text/html; charset=utf-8")
        if request.path.startswith("/search"):
            return ok({"items": [found("Sturdy Steel " + request.path.removeprefix("/search?q=").title())]})
        if request.path == "/catalogue":
            return ok({"skus_by_rank": CATALOGUE})
        body = json.loads(request.body)
        if request.path.startswith("/carts/"):
            self._cart.update({line["sku"]: line["quantity"] for line in body["lines"]})
            return ok({"cart_id": "c", "lines": self._lines(), "total_cents": cost_cents(self._cart)})
        placed = {"order_id": "o-1", "reference": "R-1", "state": "accepted", "total_cents": body["total_cents"]}
        return ok(placed, 201)

    def _lines(self) -> list[dict[str, Any]]:
        return [{"sku": sku, "quantity": quantity, "price_cents": PRICES[sku]} for sku, quantity in self._cart.items()]


def prepared() -> Shoppers:
    ready = Shoppers(MIX, LINES)
    ready.prepare(FakeTransport(FakeClock(), SmallShop()))
    return ready


def visit(rig: Rig, shoppers: Shoppers) -> Visit:
    planned = shoppers.plan(rig.shopper)
    rig.desk = Desk(rig.office, rig.shopper, planned.purchase_planned_s)
    planned.run(rig.desk)
    return planned


def only(name: str, answer: Answer) -> Callable[[Request], Answer | None]:
    return lambda request: answer if request.name == name else None
