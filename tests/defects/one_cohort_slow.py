"""Checkout takes nearly a second longer for most orders with one card network, which is a twentieth of all."""

from __future__ import annotations

import asyncio
from hashlib import blake2b

from stack.checkout import app
from stack.checkout.orders import NewOrder
from stack.checkout.partners import Payments
from stack.checkout.rules import Paid
from stack.kit.app import serve
from tests.defects.planting import put

SLOW_S = 0.8
SHARE = 0.6


class SlowForSome(Payments):
    async def charge(self, order: NewOrder) -> Paid:
        if order.network == "amex" and blake2b(order.key.encode()).digest()[0] < 256 * SHARE:
            await asyncio.sleep(SLOW_S)
        return await super().charge(order)


def alter() -> None:
    put(app, "Payments", SlowForSome)


if __name__ == "__main__":
    alter()
    serve(app.build())
