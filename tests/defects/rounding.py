"""Checkout charges in units and fractions of them, and cuts off what is under a cent: 19.99 is charged as 19.98."""

from __future__ import annotations

from dataclasses import replace

from stack.checkout import app
from stack.checkout.orders import NewOrder
from stack.checkout.partners import Payments
from stack.checkout.rules import Paid
from stack.kit.app import serve
from tests.defects.planting import put


class CutsOff(Payments):
    async def charge(self, order: NewOrder) -> Paid:
        price = order.total_cents / 100
        return await super().charge(replace(order, total_cents=int(price * 100)))


def alter() -> None:
    put(app, "Payments", CutsOff)


if __name__ == "__main__":
    alter()
    serve(app.build())
