"""The two steps that foreground and resolver share: ending an attempt in the books, and voiding it at the processor."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from time import monotonic

from stack.kit import context
from stack.kit.database import DatabaseError
from stack.kit.log import log
from stack.payments.processors import Processor, Said
from stack.payments.results import UNKNOWN, Result, result_of
from stack.payments.store import Charge, Store

_STORE_S = 1.0
_KEEP_STORING_S = 60.0
_PAUSE_MAX_S = 0.4


class Steps:
    """Over one store and its processors."""

    def __init__(self, store: Store, processors: Mapping[str, Processor]) -> None:
        self.store = store
        self.processors = processors

    async def settle(self, charge: Charge, closed_as: str, state: str, charge_id: str | None = None) -> Result:
        """End the present attempt and its charge in the books.

        What a processor said is not known to anybody else, so storing it is tried for a minute, past every deadline;
        after that the resolver has to ask the processor again. Raises nothing of the database.
        """
        give_up = monotonic() + _KEEP_STORING_S
        pause_s = 0.05
        with context.bound(reference=charge.reference) as work:
            while True:
                work.deadline = monotonic() + _STORE_S
                try:
                    settled = await self.store.settle(charge, closed_as, state, charge_id)
                    if settled is None:
                        return await self.as_stored(charge.key)
                except DatabaseError as error:
                    if monotonic() > give_up:
                        log("charge-not-stored", level="error", key=charge.key, state=state, error=str(error))
                        return UNKNOWN
                    await asyncio.sleep(pause_s)
                    pause_s = min(_PAUSE_MAX_S, pause_s * 2)
                else:
                    log(f"charge-{settled}", key=charge.key, processor=charge.processor, n=charge.n, was=closed_as)
                    return Result(settled, charge.processor, charge_id or "")

    async def as_stored(self, key: str) -> Result:
        """The charge moved under us (cancelled, or stored by a statement whose answer was lost): what it is now."""
        charge = await self.store.read(key)
        return UNKNOWN if charge is None else result_of(charge)

    async def void(self, charge: Charge) -> tuple[Charge, Said] | None:
        """Void the present attempt, the decision stored first; None when the charge has moved meanwhile."""
        if charge.state == "pending":
            if not await self.store.voiding(charge):
                return None
            charge = replace(charge, state="voiding")
        return charge, await self.processors[charge.processor].void(charge.provider_key)
