"""Checkout takes each request for an order of its own: a second click with the same key is a second order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from stack.checkout import app
from stack.checkout.orders import NewOrder, parse
from stack.checkout.partners import Payments
from stack.checkout.rules import Paid
from stack.checkout.saga import Ending, Saga
from stack.kit.app import serve
from tests.defects.planting import put


def _parse(key: str, body: Mapping[str, Any], cohort: str | None) -> NewOrder:
    return replace(parse(key, body, cohort), order_id=uuid4())


class JoinsNobody(Saga):
    async def place(self, order: NewOrder) -> Ending:
        return await self._work(order)


class ChargesEach(Payments):
    async def charge(self, order: NewOrder) -> Paid:
        return await super().charge(replace(order, key=str(order.order_id)))


class Checkout(app.Checkout):
    async def start(self) -> None:
        await super().start()
        assert self._database is not None
        await self._database.execute("ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_idempotency_key_key")


def alter() -> None:
    put(app, "parse", _parse)
    put(app, "Saga", JoinsNobody)
    put(app, "Payments", ChargesEach)
    put(app, "Checkout", Checkout)


if __name__ == "__main__":
    alter()
    serve(app.build())
