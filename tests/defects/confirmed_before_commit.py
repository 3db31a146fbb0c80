"""Checkout says "thank you" first, and writes the order into its books when it comes to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from stack.checkout import app
from stack.checkout.orders import NewOrder
from stack.checkout.store import Store
from stack.kit import context
from stack.kit.app import serve
from stack.kit.database import Database, DatabaseError
from stack.kit.log import log
from tests.defects.planting import put


class WritesLater(Store):
    def __init__(self, database: Database, worker: str) -> None:
        super().__init__(database, worker)
        self._writing: dict[UUID, asyncio.Task[None]] = {}

    async def place(self, order: NewOrder, lease_s: float) -> bool:
        self._later(order.order_id, lambda: Store.place(self, order, lease_s))
        return True

    async def accept(self, order_id: UUID) -> bool:
        self._later(order_id, lambda: Store.accept(self, order_id))
        return True

    async def refuse(
        self, order_id: UUID, state: str, problem: dict[str, Any], epoch: int | None = None, *, tell: bool
    ) -> bool:
        if (writing := self._writing.get(order_id)) is not None:
            await asyncio.wait({writing})
        return await super().refuse(order_id, state, problem, epoch, tell=tell)

    def _later(self, order_id: UUID, write: Callable[[], Awaitable[object]]) -> None:
        before = self._writing.get(order_id)

        async def in_turn() -> None:
            if before is not None:
                await asyncio.wait({before})
            with context.bound(deadline_s=1.0):
                try:
                    await write()
                except DatabaseError as error:
                    log("order-not-written", level="error", order_id=str(order_id), error=str(error))

        task = self._writing[order_id] = asyncio.get_running_loop().create_task(in_turn())
        task.add_done_callback(lambda done: self._forget(order_id, done))

    def _forget(self, order_id: UUID, done: asyncio.Task[None]) -> None:
        if self._writing.get(order_id) is done:
            del self._writing[order_id]


def alter() -> None:
    put(app, "Store", WritesLater)


if __name__ == "__main__":
    alter()
    serve(app.build())
