"""Payments asks a processor that gave no answer again, under a new idempotency key."""

from __future__ import annotations

from uuid import uuid4

from stack.kit.app import serve
from stack.payments import app
from stack.payments.processors import Processor, Said
from stack.payments.rules import Heard
from stack.payments.store import Intent
from tests.defects.planting import put


class AsksAnew(Processor):
    async def charge(self, intent: Intent, provider_key: str) -> Said:
        said = await super().charge(intent, provider_key)
        if said.heard is Heard.IN_DOUBT:
            said = await super().charge(intent, f"{provider_key}.{uuid4()}")
        return said


def alter() -> None:
    put(app, "Processor", AsksAnew)


if __name__ == "__main__":
    alter()
    serve(app.build())
