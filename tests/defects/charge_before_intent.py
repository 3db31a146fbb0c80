"""Payments takes the money first, and stores that it wanted to afterwards."""

from __future__ import annotations

from stack.kit import context
from stack.kit.app import serve
from stack.kit.database import DatabaseError
from stack.kit.log import log
from stack.payments import app
from stack.payments.charging import LEASE_MARGIN_S, Charging
from stack.payments.results import NOT_CHARGED, UNKNOWN, Result
from stack.payments.store import Intent, provider_key
from tests.defects.planting import put, there


class ChargesFirst(Charging):
    async def _drive(self, intent: Intent, fingerprint: str) -> Result:
        lease_s = context.remaining_s() + LEASE_MARGIN_S
        first = self._candidates(intent, [])[0]
        said = await self._steps.processors[first].charge(intent, provider_key(intent.key, 1, first))
        try:
            charge = await self._steps.store.open(intent, first, fingerprint, lease_s)
        except DatabaseError as error:
            log("charge-not-begun", level="error", key=intent.key, error=str(error))
            return NOT_CHARGED
        try:
            if charge is None:
                return await self._resume(intent, fingerprint, lease_s)
            return await self._go_on(intent, charge, said)
        except DatabaseError as error:
            log("charge-left", level="error", key=intent.key, error=str(error))
            self._wake_resolver()
            return UNKNOWN


def alter() -> None:
    there(Charging, "_drive")
    put(app, "Charging", ChargesFirst)


if __name__ == "__main__":
    alter()
    serve(app.build())
