"""Checkout refuses a key that is at work already: the second click is told that the order failed, which it did not."""

from __future__ import annotations

from stack.checkout import answers, app
from stack.checkout.orders import NewOrder
from stack.checkout.saga import Ending, Saga
from stack.kit.app import serve
from tests.defects.planting import put, there


class RefusesTheSecond(Saga):
    async def place(self, order: NewOrder) -> Ending:
        at_work: set[str] = self.__dict__.setdefault("_at_work", set())
        if order.key in at_work:
            raise answers.refusal("failed", {})
        at_work.add(order.key)
        try:
            return await super().place(order)
        finally:
            at_work.discard(order.key)


def alter() -> None:
    there(Saga, "place")
    put(app, "Saga", RefusesTheSecond)


if __name__ == "__main__":
    alter()
    serve(app.build())
