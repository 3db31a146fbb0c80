"""Shoppers of the tiny shop: one page each, and half of them order one thing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crashcart.loadkit.answers import Answer, Request
from crashcart.loadkit.assignment import Settings
from crashcart.loadkit.desk import Desk
from crashcart.loadkit.intents import Ending
from crashcart.loadkit.locusts import OpenLoopUser
from crashcart.loadkit.retries import Retries
from crashcart.loadkit.shoppers import Shopper
from crashcart.loadkit.transport import Transport
from crashcart.model.load import LoadProgram

ONCE = Retries(tries_max=1, pause_s=0.0, pause_max_s=0.0)
WENT = ("ok", "error", "timeout", "refused")


def _page(answer: Answer) -> str | None:
    return "shown" if answer.status == 200 else None


def _order_id(answer: Answer) -> str | None:
    return str(json.loads(answer.body)["order_id"]) if answer.status == 201 else None


@dataclass(frozen=True)
class Visit:
    """One shopper's."""

    shopper: Shopper

    @property
    def purchase_planned_s(self) -> float | None:
        """At once."""
        return None if self.shopper.key is None else self.shopper.arrival_s

    def run(self, desk: Desk) -> None:
        """Look, and perhaps order."""
        arrival_s = self.shopper.arrival_s
        seen = desk.errand(
            "browse",
            Request("GET", "/", "/"),
            _page,
            intended_s=arrival_s,
            timeout_s=2.0,
            until_s=arrival_s + 2.0,
            retries=ONCE,
        )
        if self.shopper.key is None:
            return
        if seen.failure is not None:
            desk.end_intent(Ending("blocked", problem=seen.failure.problem))
            return
        desk.about_to_send(intended_s=seen.done_s, what={"lines": [["thing", 1]], "total_cents": 100})
        request = Request("POST", "/orders", "/orders", b"{}", (("Idempotency-Key", self.shopper.key),))
        placed = desk.errand(
            "checkout",
            request,
            _order_id,
            intended_s=seen.done_s,
            timeout_s=3.0,
            until_s=seen.done_s + 3.0,
            retries=ONCE,
        )
        latency_ms = (placed.done_s - seen.done_s) * 1000
        if placed.value is not None:
            order = placed.value
            ending = Ending("ok", attempts=1, status=201, order_id=order, reference=order[:8], latency_ms=latency_ms)
        else:
            definite = placed.failure is not None and placed.failure.definite
            ending = Ending("failed" if definite else "unknown", attempts=1, latency_ms=latency_ms)
        desk.end_intent(ending)


class Behaviour:
    """What the shoppers of the tiny shop do."""

    operations: Mapping[str, tuple[str, ...]] = {"browse": WENT, "checkout": WENT}

    def prepare(self, transport: Transport) -> None:
        """Nothing has to be known."""

    def plan(self, shopper: Shopper) -> Visit:
        """One visit."""
        return Visit(shopper)


class TinyShopper(OpenLoopUser):
    """The tiny shop's shoppers, all of them."""

    load_file = Path(__file__).with_name("load.yaml")

    @classmethod
    def behaviour(cls, program: LoadProgram, settings: Settings) -> Behaviour:
        """Always the same."""
        return Behaviour()
