"""Payments takes a processor that gave no answer for one that refused, and charges at the other one."""

from __future__ import annotations

from stack.kit.app import serve
from stack.payments import app
from stack.payments.processors import Processor, Said
from stack.payments.rules import Heard
from stack.payments.store import Intent
from tests.defects.planting import put


class TakesSilenceForNo(Processor):
    async def charge(self, intent: Intent, provider_key: str) -> Said:
        said = await super().charge(intent, provider_key)
        return Said(Heard.REFUSED) if said.heard is Heard.IN_DOUBT else said


def alter() -> None:
    put(app, "Processor", TakesSilenceForNo)


if __name__ == "__main__":
    alter()
    serve(app.build())
