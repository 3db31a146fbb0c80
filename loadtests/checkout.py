"""The click: one intent, one key, perhaps several sends, one ending."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from crashcart.loadkit.answers import Failure, Request
from crashcart.loadkit.desk import Desk
from crashcart.loadkit.intents import Ending
from crashcart.loadkit.shoppers import Shopper
from loadtests.mix import Mix
from loadtests.promises import OrderAnswer, order_answer

CHECKOUT_OUTCOMES = ("ok", "error", "timeout", "refused", "declined", "sold_out")

Told = OrderAnswer | Failure
"""What the shopper was told after one click."""

DoubleClickResult = Literal["", "same", "different", "one-answer", "no-answer"]


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it is sent, the same bytes each time."""

    request: Request
    record: Mapping[str, object]
    """What `intents.jsonl` says of it."""
    total_cents: int

    @classmethod
    def of(cls, shopper: Shopper, cart_id: str, basket: Mapping[str, int], total_cents: int) -> Order:
        """The order of what is in the cart, paid with a card of the shopper's network."""
        assert shopper.key is not None
        network = shopper.cohorts["network"]
        body = {
            "cart_id": cart_id,
            "total_cents": total_cents,
            "card": {"network": network, "token": f"tok_{network}_{shopper.number}"},
            "email": f"shopper-{shopper.number}@mail.example",
        }
        headers = (("Idempotency-Key", shopper.key), ("X-Cohort", shopper.cohort_header))
        return cls(
            request=Request("POST", "/orders", "/orders", msgspec.json.encode(body), headers),
            record={"lines": [list(line) for line in basket.items()], "total_cents": total_cents, "network": network},
            total_cents=total_cents,
        )


def place(desk: Desk, order: Order, mix: Mix, *, intended_s: float, double_click: bool) -> Ending:
    """Click, and with the same key again while it makes sense, until the shop has a final word or patience ends."""
    return _Checkout(desk, order, mix, intended_s).place(double_click=double_click)


class _Checkout:
    def __init__(self, desk: Desk, order: Order, mix: Mix, intended_s: float) -> None:
        self._desk = desk
        self._order = order
        self._mix = mix
        self._intended_s = intended_s
        self._until_s = intended_s + mix.patience_s.checkout
        self._uncertain = False
        self._held: list[tuple[Failure, float]] = []
        """Failures whose word on trying again has not been put to the test yet, with the time the click was meant
        for."""
        self._double_click: DoubleClickResult = ""

    def place(self, *, double_click: bool) -> Ending:
        meant_s, tries = self._intended_s, 0
        while True:
            tries += 1
            told = self._click_twice(meant_s) if double_click and tries == 1 else self._click(meant_s)
            now_s = self._desk.clock.now_s()
            if isinstance(told, OrderAnswer):
                return self._end(told, now_s)
            again_s = self._mix.retries.order.again_s(told, tries, now_s, self._desk.retry_random)
            if again_s is None or again_s >= self._until_s:
                return self._end(told, now_s)
            meant_s = again_s
            self._desk.clock.sleep_until(again_s)

    def _click(self, meant_s: float) -> Told:
        told = self._send(meant_s)
        self._note(told, meant_s)
        return told

    def _click_twice(self, meant_s: float) -> Told:
        """A second click while the first is on its way: one order must come of it, and both must be told the same."""
        second_meant_s = meant_s + self._mix.double_click.after_s
        first, second = self._desk.both(
            lambda: self._send(meant_s),
            lambda: self._send(second_meant_s),
            second_at_s=second_meant_s,
        )
        self._note(first, meant_s)
        self._note(second, second_meant_s)
        self._double_click = _compared(first, second)
        if isinstance(first, OrderAnswer) and isinstance(second, OrderAnswer):
            return min(first, second, key=lambda told: told.outcome != "ok")
        return second if isinstance(second, OrderAnswer) else first

    def _send(self, meant_s: float) -> Told:
        desk, order = self._desk, self._order
        desk.about_to_send(intended_s=meant_s, what=order.record)
        left_s = self._until_s - desk.clock.now_s()
        answer, failure = desk.exchange(
            order.request, min(self._mix.patience_s.order, left_s), lambda got: order_answer(got, order.total_cents)
        )
        if failure is not None:
            self._uncertain |= not failure.definite
            return failure
        assert answer is not None
        return answer

    def _note(self, told: Told, meant_s: float) -> None:
        """Count the failures before this one, now that it is known what trying again brought."""
        failure = told if isinstance(told, Failure) else None
        for held in self._held:
            self._desk.count_failure(*held, next_failure=failure)
        self._held = [(failure, meant_s)] if failure else []

    def _end(self, told: Told, now_s: float) -> Ending:
        for held in self._held:
            self._desk.count_failure(*held, next_failure=None)
        latency_ms = (now_s - self._intended_s) * 1000
        if isinstance(told, OrderAnswer):
            self._desk.finish("checkout", told.outcome, self._intended_s, now_s)
            return Ending(
                told.outcome,
                latency_ms=latency_ms,
                attempts=self._desk.attempts,
                status=told.status,
                problem=told.problem,
                reference=told.reference,
                order_id=told.order_id,
                double_click=self._double_click,
            )
        self._desk.finish("checkout", told.kind, self._intended_s, now_s)
        return Ending(
            # one try that may have been done is enough: a later no may be about that try alone
            "unknown" if self._uncertain else "failed",
            latency_ms=latency_ms,
            attempts=self._desk.attempts,
            status=told.status,
            problem=told.problem,
            reference=told.reference,
            safe_to_retry=told.safe_to_retry,
            double_click=self._double_click,
        )


def _compared(first: Told, second: Told) -> DoubleClickResult:
    if isinstance(first, OrderAnswer) and isinstance(second, OrderAnswer):
        same = (first.outcome, first.order_id) == (second.outcome, second.order_id)
        return "same" if same else "different"
    return "one-answer" if isinstance(first, OrderAnswer) or isinstance(second, OrderAnswer) else "no-answer"
