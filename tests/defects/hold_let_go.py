"""Checkout lets the stock of an order go that is still being paid, so that somebody quicker may have it."""

from __future__ import annotations

import asyncio

from stack.checkout import app
from stack.checkout.orders import NewOrder
from stack.checkout.partners import Inventory, Payments
from stack.checkout.rules import Paid
from stack.kit.app import serve
from tests.defects.planting import put

PATIENCE_S = 0.5


class Impatient(Payments):
    def __init__(self, payments: Payments, inventory: Inventory) -> None:
        super().__init__(timeout_s=payments._timeout_s)
        self._inventory = inventory

    async def charge(self, order: NewOrder) -> Paid:
        charging = asyncio.ensure_future(super().charge(order))
        _, late = await asyncio.wait({charging}, timeout=PATIENCE_S)
        if late:
            await self._inventory.release([str(order.order_id)])
        return await charging


class Checkout(app.Checkout):
    def __init__(self, instance: str) -> None:
        super().__init__(instance)
        self._payments = Impatient(self._payments, self._inventory)


def alter() -> None:
    put(app, "Checkout", Checkout)


if __name__ == "__main__":
    alter()
    serve(app.build())
