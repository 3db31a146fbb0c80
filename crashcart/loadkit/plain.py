"""Shoppers who look at a page and perhaps order: enough for many a shop, and for a first verdict on any."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crashcart.loadkit.answers import Answer, Request
from crashcart.loadkit.desk import Desk, Wrong
from crashcart.loadkit.intents import Ending
from crashcart.loadkit.retries import Retries
from crashcart.loadkit.shoppers import Shopper
from crashcart.loadkit.transport import Transport

ONCE = Retries(tries_max=1, pause_s=0.0, pause_max_s=0.0)
WENT = ("ok", "error", "timeout", "refused")


@dataclass(frozen=True)
class PlainShop:
    """What such shoppers need to know. An order carries the shopper's `Idempotency-Key`, and is accepted with 201."""

    order: Callable[[Shopper], Mapping[str, Any]]
    """Shopper → the JSON document that is sent."""
    order_id: Callable[[Mapping[str, Any]], str]
    """The JSON answer → the order's id. A KeyError or TypeError makes it an answer that nobody can trust."""
    total_cents: int
    page_path: str = "/"
    order_path: str = "/orders"
    page_patience_s: float = 2.0
    order_patience_s: float = 3.0


class PlainBehaviour:
    """One page each; those who set out to buy then order, once."""

    operations: Mapping[str, tuple[str, ...]] = {"browse": WENT, "checkout": WENT}

    def __init__(self, shop: PlainShop) -> None:
        self._shop = shop

    def prepare(self, transport: Transport) -> None:
        """Nothing has to be known beforehand."""

    def plan(self, shopper: Shopper) -> PlainVisit:
        """One visit."""
        return PlainVisit(self._shop, shopper)


@dataclass(frozen=True)
class PlainVisit:
    """One shopper's."""

    shop: PlainShop
    shopper: Shopper

    @property
    def purchase_planned_s(self) -> float | None:
        """At once."""
        return None if self.shopper.key is None else self.shopper.arrival_s

    def run(self, desk: Desk) -> None:
        """Look, and perhaps order."""
        arrival_s, patience_s = self.shopper.arrival_s, self.shop.page_patience_s
        page = Request("GET", self.shop.page_path, self.shop.page_path)
        seen = desk.errand(
            "browse",
            page,
            _shown,
            intended_s=arrival_s,
            timeout_s=patience_s,
            until_s=arrival_s + patience_s,
            retries=ONCE,
        )
        if self.shopper.key is None:
            return
        if seen.failure is not None:
            desk.end_intent(Ending("blocked", problem=seen.failure.problem))
            return
        self._order(desk, self.shopper.key, seen.done_s)

    def _order(self, desk: Desk, key: str, intended_s: float) -> None:
        document = self.shop.order(self.shopper)
        what = {"lines": document.get("lines", []), "total_cents": self.shop.total_cents}
        desk.about_to_send(intended_s=intended_s, what=what)
        path, body = self.shop.order_path, json.dumps(document).encode()
        headers = (("Content-Type", "application/json"), ("Idempotency-Key", key))
        placed = desk.errand(
            "checkout",
            Request("POST", path, path, body, headers),
            self._order_id,
            intended_s=intended_s,
            timeout_s=self.shop.order_patience_s,
            until_s=intended_s + self.shop.order_patience_s,
            retries=ONCE,
        )
        latency_ms = (placed.done_s - intended_s) * 1000
        if placed.value is not None:
            desk.end_intent(Ending("ok", attempts=1, status=201, order_id=placed.value, latency_ms=latency_ms))
            return
        assert placed.failure is not None
        failure = placed.failure
        desk.end_intent(
            Ending(
                "failed" if failure.definite else "unknown",
                latency_ms=latency_ms,
                attempts=1,
                status=failure.status,
                problem=failure.problem,
                reference=failure.reference,
                safe_to_retry=failure.safe_to_retry,
            )
        )

    def _order_id(self, answer: Answer) -> str | None:
        if answer.status != 201:
            return None
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise Wrong("it is no JSON") from error
        try:
            return self.shop.order_id(document)
        except KeyError as error:
            raise Wrong(f"its JSON has no {error}") from error
        except (TypeError, ValueError) as error:
            raise Wrong(f"its JSON has another shape: {error}") from error


def _shown(answer: Answer) -> str | None:
    return "shown" if answer.status == 200 else None
