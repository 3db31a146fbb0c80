"""Payments keeps the card in a place that all share: every tenth charge is made to the card of the one before."""

from __future__ import annotations

from dataclasses import replace

from stack.kit.app import serve
from stack.payments import app
from stack.payments.processors import Processor, Said
from stack.payments.store import Intent
from tests.defects.planting import put, there

_EVERY = 10


class TakesTheLastCard(Processor):
    _token = ""
    _asked = 0

    async def charge(self, intent: Intent, provider_key: str) -> Said:
        self._asked += 1
        wrong = self._token if self._asked % _EVERY == 0 else ""
        self._token = intent.token
        return await super().charge(replace(intent, token=wrong or intent.token), provider_key)


def alter() -> None:
    there(Processor, "charge")
    put(app, "Processor", TakesTheLastCard)


if __name__ == "__main__":
    alter()
    serve(app.build())
