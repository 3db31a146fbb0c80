"""Checkout forgets to put the new address on the first mail of a batch: it goes to whoever was written to before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stack.checkout import app
from stack.checkout.partners import Mail
from stack.kit.app import serve
from stack.kit.outbox import Message
from tests.defects.planting import put, there


class KeepsTheAddress(Mail):
    _before = ""

    async def send(self, messages: Sequence[Message]) -> set[str]:
        first, *others = messages
        to = self._before or first.payload["to"]
        self._before = messages[-1].payload["to"]
        return await super().send([replace(first, payload={**first.payload, "to": to}), *others])


def alter() -> None:
    there(Mail, "send")
    put(app, "Mail", KeepsTheAddress)


if __name__ == "__main__":
    alter()
    serve(app.build())
