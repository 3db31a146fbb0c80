"""Inventory reads how many there are, takes some off, and writes the rest back, whoever has bought meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from stack.inventory import app, statements
from stack.inventory.store import Held, Line, Refused, Short, Stock
from stack.inventory.store import KeyReused as Reused
from stack.kit.app import serve
from tests.defects.planting import put, there

_WRITE = "UPDATE products SET on_hand = $2 WHERE sku = $1"


class ReadsThenWrites(Stock):
    async def _hold(self, order_id: UUID, lines: Sequence[Line], ttl_s: float) -> Held | Short | Refused | Reused:
        seen = {line.sku: await self._database.fetchval(statements.ONE, line.sku) for line in lines}
        outcome = await super()._hold(order_id, lines, ttl_s)
        if isinstance(outcome, Held):
            for line in lines:
                await self._database.execute(_WRITE, line.sku, max(0, seen[line.sku] - line.quantity))
        return outcome


def alter() -> None:
    there(Stock, "_hold")
    put(app, "Stock", ReadsThenWrites)


if __name__ == "__main__":
    alter()
    serve(app.build())
