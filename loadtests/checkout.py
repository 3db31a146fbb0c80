"""The click: one intent, one key, perhaps several sends, one ending."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import msgspec

from crashcart.loadkit.answers import Answer, Failure, Request
from crashcart.loadkit.desk import Desk
from crashcart.loadkit.intents import Ending
from crashcart.loadkit.shoppers import Shopper
from loadtests.mix import Mix
from loadtests.promises import ENDED_BADLY, NewTotal, OrderAnswer, order_answer

CHECKOUT_OUTCOMES = ("ok", "error", "timeout", "refused", "declined", "sold_out")


Word = OrderAnswer | NewTotal | Failure


class Told(msgspec.Struct, frozen=True):
    """What the shopper was told after one click."""

    word: Word
    meant_s: float
    """When the click was meant."""
    at_s: float
    """When the answer, or the end of waiting for it, came."""


DoubleClickResult = Literal["", "same", "different", "contradicted", "one-answer", "no-answer"]
"""`contradicted`: one click was accepted, and of the other it was said for good that nothing came of it."""


class Order(msgspec.Struct, frozen=True):
    """An order as it is sent, the same bytes each time."""

    request: Request
    record: Mapping[str, object]
    """What `intents.jsonl` says of it."""
    total_cents: int
    at: Callable[[int], Order]
    """The same for another total."""

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
            at=partial(cls.of, shopper, cart_id, basket),
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
        self._held: list[Told] = []
        """Failures whose word on trying again has not been put to the test yet."""
        self._double_click: DoubleClickResult = ""

    def place(self, *, double_click: bool) -> Ending:
        meant_s, tries = self._intended_s, 0
        while True:
            tries += 1
            told = self._click_twice(meant_s) if double_click and tries == 1 else self._click(meant_s)
            if isinstance(told.word, OrderAnswer):
                return self._answered(told.word, told.at_s)
            if isinstance(told.word, NewTotal):
                # the page shows what it costs now: they look, and click once more
                meant_s = told.at_s + self._mix.think_s.checkout
                if tries == self._mix.retries.order.tries_max or meant_s >= self._until_s:
                    return self._unanswered(_disagreed(told.word), told.at_s)
                self._order = self._order.at(told.word.total_cents)
                self._desk.clock.sleep_until(meant_s)
                continue
            now_s = self._desk.clock.now_s()
            again_s = self._mix.retries.order.again_s(told.word, tries, now_s, self._desk.retry_random)
            if again_s is None or again_s >= self._until_s:
                return self._unanswered(told.word, told.at_s)
            meant_s = again_s
            self._desk.clock.sleep_until(again_s)

    def _click(self, meant_s: float) -> Told:
        told = self._send(meant_s)
        self._note(told)
        return told

    def _click_twice(self, meant_s: float) -> Told:
        """A second click while the first is on its way: one order must come of it, and both must be told the same."""
        second_meant_s = meant_s + self._mix.double_click.after_s
        first, second = self._desk.both(
            lambda: self._send(meant_s), lambda: self._send(second_meant_s), second_at_s=second_meant_s
        )
        self._note(first)
        self._note(second)
        self._double_click = _compared(first.word, second.word)
        answers = [told for told in (first, second) if not isinstance(told.word, Failure)]
        # the shopper reads the first answer that is one; that of a failure counts only where there is no other
        return min(answers, key=lambda told: told.at_s) if answers else second

    def _send(self, meant_s: float) -> Told:
        desk, order = self._desk, self._order
        desk.about_to_send(intended_s=meant_s, what=order.record)
        left_s = self._until_s - desk.clock.now_s()
        read: Callable[[Answer], OrderAnswer | NewTotal | None] = partial(order_answer, total_cents=order.total_cents)
        came: tuple[OrderAnswer | NewTotal | None, Failure | None] = desk.exchange(
            order.request, min(self._mix.patience_s.order, left_s), read
        )
        answer, failure = came
        at_s = desk.clock.now_s()
        if failure is not None:
            self._uncertain |= not failure.definite
            return Told(failure, meant_s, at_s)
        assert answer is not None
        return Told(answer, meant_s, at_s)

    def _note(self, told: Told) -> None:
        """Count the failures before this one, now that it is known what trying again brought."""
        self._count_held(told.word if isinstance(told.word, Failure) else None)
        self._held = [told] if isinstance(told.word, Failure) else []

    def _count_held(self, next_failure: Failure | None) -> None:
        for held in self._held:
            assert isinstance(held.word, Failure)
            self._desk.count_failure(held.word, held.meant_s, next_failure=next_failure)

    def _answered(self, answer: OrderAnswer, at_s: float) -> Ending:
        self._count_held(None)
        self._desk.finish("checkout", answer.outcome, self._intended_s, at_s)
        return Ending(
            answer.outcome,
            latency_ms=(at_s - self._intended_s) * 1000,
            attempts=self._desk.attempts,
            status=answer.status,
            problem=answer.problem,
            reference=answer.reference,
            order_id=answer.order_id,
            double_click=self._double_click,
        )

    def _unanswered(self, failure: Failure, at_s: float) -> Ending:
        self._count_held(None)
        self._desk.finish("checkout", failure.kind, self._intended_s, at_s)
        return Ending(
            # one try that may have been done is enough: a later no may be about that later try alone
            "unknown" if self._uncertain and failure.problem not in ENDED_BADLY else "failed",
            latency_ms=(at_s - self._intended_s) * 1000,
            attempts=self._desk.attempts,
            status=failure.status,
            problem=failure.problem,
            reference=failure.reference,
            safe_to_retry=failure.safe_to_retry,
            double_click=self._double_click,
        )


def _disagreed(new: NewTotal) -> Failure:
    return Failure("error", definite=True, status=409, problem="price-changed", reference=new.reference, honest=True)


def _compared(first: Word, second: Word) -> DoubleClickResult:
    if isinstance(first, OrderAnswer) and isinstance(second, OrderAnswer):
        same = (first.outcome, first.order_id) == (second.outcome, second.order_id)
        return "same" if same else "different"
    if isinstance(first, NewTotal) and first == second:
        return "same"
    if (_is_accepted(first) and _is_no_for_good(second)) or (_is_accepted(second) and _is_no_for_good(first)):
        return "contradicted"
    return "one-answer" if isinstance(first, OrderAnswer) or isinstance(second, OrderAnswer) else "no-answer"


def _is_accepted(word: Word) -> bool:
    return isinstance(word, OrderAnswer) and word.outcome == "ok"


def _is_no_for_good(word: Word) -> bool:
    """Certainly not done, and not to be tried again: no "wait", no "busy", no silence."""
    return isinstance(word, Failure) and word.definite and word.safe_to_retry is False
