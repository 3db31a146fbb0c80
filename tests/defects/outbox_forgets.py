"""Checkout takes a message out of its outbox before it sends it: what could not be sent is gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stack.checkout import app
from stack.kit.app import serve
from stack.kit.database import Database
from stack.kit.outbox import Deliver, Message, OutboxRelay
from tests.defects.planting import put


class TakesOutFirst(OutboxRelay):
    def __init__(self, database: Database, deliver: Deliver, **how: Any) -> None:
        async def take_out_and_deliver(messages: Sequence[Message]) -> set[int]:
            taken = [message.id for message in messages]
            await database.execute("DELETE FROM outbox WHERE id = ANY($1)", taken)
            await deliver(messages)
            return set(taken)

        super().__init__(database, take_out_and_deliver, **how)


def alter() -> None:
    put(app, "OutboxRelay", TakesOutFirst)


if __name__ == "__main__":
    alter()
    serve(app.build())
