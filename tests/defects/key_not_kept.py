"""Checkout makes up the key of a charge and keeps it in memory: after a restart it asks about another one."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

from stack.checkout import app
from stack.checkout.orders import NewOrder
from stack.checkout.partners import Payments
from stack.checkout.rules import Paid
from stack.kit.app import serve
from tests.defects.planting import put


class Forgets(Payments):
    def __init__(self, *, timeout_s: float) -> None:
        super().__init__(timeout_s=timeout_s)
        self._keys: dict[str, str] = {}

    def _key_of(self, order_key: str) -> str:
        return self._keys.setdefault(order_key, str(uuid4()))

    async def charge(self, order: NewOrder) -> Paid:
        return await super().charge(replace(order, key=self._key_of(order.key)))

    async def ask(self, key: str) -> Paid:
        return await super().ask(self._key_of(key))

    async def cancel(self, key: str, order_id: UUID) -> Paid:
        return await super().cancel(self._key_of(key), order_id)


def alter() -> None:
    put(app, "Payments", Forgets)


if __name__ == "__main__":
    alter()
    serve(app.build())
