"""Checkout's finisher looks at an unfinished order once, and leaves it alone where that was too early."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from stack.checkout import app
from stack.checkout.finisher import Finisher
from stack.checkout.orders import Order
from stack.checkout.saga import Parts
from stack.kit.app import serve
from tests.defects.planting import put, there


class GivesUp(Finisher):
    def __init__(self, parts: Parts, at_work_on: Callable[[str], bool]) -> None:
        super().__init__(parts, at_work_on)
        self._looked_at: set[UUID] = set()

    async def _finish_claimed(self, order: Order) -> bool:
        if order.order_id in self._looked_at:
            return True
        self._looked_at.add(order.order_id)
        return await super()._finish_claimed(order)


def alter() -> None:
    there(Finisher, "_finish_claimed")
    put(app, "Finisher", GivesUp)


if __name__ == "__main__":
    alter()
    serve(app.build())
