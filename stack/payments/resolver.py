"""The resolver: asks about charges in doubt until it knows, for ever, and carries cancellations and refunds through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

from stack.kit import context
from stack.kit.database import DatabaseError
from stack.kit.log import log
from stack.payments.processors import Said
from stack.payments.results import IN_DOUBT, Result, result_of
from stack.payments.rules import CLOSED_AS, Heard, Step, step_in_background
from stack.payments.steps import Steps
from stack.payments.store import Charge

POLL_S = 0.5
LEASE_S = 1.5
_BATCH = 50
_AT_ONCE = 8


class Resolver:
    """Ends what nobody else is driving. `at_work_on` tells which keys a request is driving in this process."""

    def __init__(self, steps: Steps, *, settle_s: float) -> None:
        self._steps = steps
        self._settle_s = settle_s
        self._wake = asyncio.Event()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self.at_work_on: Callable[[str], bool] = lambda _key: False

    def wake(self) -> None:
        """There is something to resolve soon."""
        self._wake.set()

    async def cancel(self, key: str, order_id: UUID) -> Result:
        """Make sure that nothing is or stays charged under this key; `unknown` while a processor cannot be asked.

        The wish is stored first, so it will be carried out whatever happens to this call.
        """
        charge = await self._steps.store.cancel(key, order_id, LEASE_S)
        if result_of(charge).state != "unknown":
            return result_of(charge)
        await self._resolve(charge)
        self.wake()
        return await self._steps.as_stored(key)

    async def run(self) -> None:
        """Resolve for ever; what a former process of this name left comes first."""
        reclaimed = False
        while True:
            try:
                if not reclaimed:
                    await self._steps.store.reclaim()
                    reclaimed = True
                busy = await self._once()
            except DatabaseError as error:
                log("resolver-stalled", level="error", error=str(error))
                busy = False
            if not busy:
                await self._pause()

    async def _once(self) -> bool:
        self._wake.clear()
        charges = await self._steps.store.claim(LEASE_S, _BATCH)
        IN_DOUBT.set(len(charges))
        if charges:
            await asyncio.gather(*map(self._resolve_claimed, charges))
        return len(charges) == _BATCH

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(POLL_S):
                await self._wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(POLL_S / 2)

    async def _resolve_claimed(self, charge: Charge) -> None:
        if self.at_work_on(charge.key):
            return
        async with self._places:
            try:
                await self._resolve(charge)
            except DatabaseError as error:
                log("charge-unresolved", level="error", reference=charge.reference, key=charge.key, error=str(error))

    async def _resolve(self, charge: Charge) -> None:
        """One round: ask, and end what is known now."""
        with context.bound(reference=charge.reference, deadline_s=2 * LEASE_S):
            processor = self._steps.processors[charge.processor]
            if charge.state == "refunding":
                if await processor.refund(charge.provider_key):
                    await self._steps.settle(charge, "refunded", "refunded", charge.charge_id)
                return
            said = Said(Heard.ABSENT)
            if charge.state == "pending":
                said = await processor.look_up(charge.provider_key)
            step = step_in_background(said.heard, charge.age_s, self._settle_s, charge.state == "voiding")
            if step is Step.VOID:
                voided = await self._steps.void(charge)
                if voided is None:
                    return
                charge, said = voided
                step = step_in_background(said.heard, charge.age_s, self._settle_s, True)
            if step is Step.NEXT:
                await self._steps.settle(charge, CLOSED_AS[said.heard], "not_charged")
            elif step is Step.CAPTURED or step is Step.DECLINED:
                await self._steps.settle(charge, step.value, step.value, said.charge_id)
