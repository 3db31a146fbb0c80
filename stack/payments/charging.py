"""Charging while a shopper waits: store the intent, ask the processor, end doubts, try the other when that is safe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from stack.kit import context
from stack.kit.database import DatabaseError
from stack.kit.log import log
from stack.payments.processors import Said
from stack.payments.results import FINAL, MISMATCH, NOT_CHARGED, UNKNOWN, Result, count, result_of
from stack.payments.rules import CLOSED_AS, Heard, Routing, Step, step_after
from stack.payments.steps import Steps
from stack.payments.store import Charge, Intent, provider_key

ANSWER_MARGIN_S = 0.1
"""An answer leaves this long before the deadline, so that it arrives."""
MIN_TRY_S = 0.3
"""Another processor is not begun with when less is left."""
LEASE_MARGIN_S = 0.5
_POLL_S = 0.1
_RESOLVE_IN_S = 0.2


class Charging:
    """The charges at work in this process; each key has one driver, which outlives the request that began it."""

    def __init__(self, steps: Steps, routing: Routing, wake_resolver: Callable[[], None]) -> None:
        self._steps = steps
        self._routing = routing
        self._wake_resolver = wake_resolver
        self._drivers: dict[str, tuple[str, asyncio.Task[Result]]] = {}

    def at_work_on(self, key: str) -> bool:
        """Whether a driver of this process is on this charge."""
        return key in self._drivers

    async def charge(self, intent: Intent) -> Result:
        """Charge once; a second request with the key joins the first; `unknown` when time is up."""
        fingerprint = intent.fingerprint
        known = self._drivers.get(intent.key)
        if known is None:
            task = asyncio.get_running_loop().create_task(self._drive(intent, fingerprint))
            self._drivers[intent.key] = (fingerprint, task)
            task.add_done_callback(lambda _: self._drivers.pop(intent.key))
        elif known[0] == fingerprint:
            task = known[1]
        else:
            return MISMATCH
        await asyncio.wait({task}, timeout=max(0.0, context.remaining_s() - ANSWER_MARGIN_S))
        return task.result() if task.done() else UNKNOWN

    async def _drive(self, intent: Intent, fingerprint: str) -> Result:
        lease_s = context.remaining_s() + LEASE_MARGIN_S
        first = self._candidates(intent, [])[0]
        try:
            charge = await self._steps.store.open(intent, first, fingerprint, lease_s)
        except DatabaseError as error:
            # Should the intent be stored after all: no processor was asked, and the resolver closes it.
            log("charge-not-begun", level="error", key=intent.key, error=str(error))
            return NOT_CHARGED
        try:
            if charge is None:
                return await self._resume(intent, fingerprint, lease_s)
            log("charge-opened", key=charge.key, processor=charge.processor)
            return await self._go_on(intent, charge, await self._ask(intent, charge))
        except DatabaseError as error:
            log("charge-left", level="error", key=intent.key, error=str(error))
            self._wake_resolver()
            return UNKNOWN

    def _candidates(self, intent: Intent, tried: list[str]) -> list[str]:
        usable = {name for name, processor in self._steps.processors.items() if processor.usable}
        return self._routing.candidates(intent.network, usable, tried)

    async def _ask(self, intent: Intent, charge: Charge) -> Said:
        asked_at = monotonic()
        said = await self._steps.processors[charge.processor].charge(intent, charge.provider_key)
        count(charge.processor, intent.network, said.heard, monotonic() - asked_at)
        return said

    async def _resume(self, intent: Intent, fingerprint: str, lease_s: float) -> Result:
        """The key is known: its result, or go on where it stopped, or wait for whoever is at it."""
        while True:
            taken = await self._steps.store.take(intent.key, fingerprint, lease_s)
            if taken is None:
                return UNKNOWN
            mine, charge = taken
            if mine:
                break
            if charge.fingerprint and charge.fingerprint != fingerprint:
                return MISMATCH
            if charge.state in FINAL:
                return result_of(charge)
            if context.remaining_s() < 2 * _POLL_S:
                return UNKNOWN
            await asyncio.sleep(_POLL_S)
        log("charge-resumed", key=charge.key, state=charge.state, processor=charge.processor)
        known = {"pending": Heard.IN_DOUBT, "voiding": Heard.ABSENT, "not_charged": Heard.NOT_SENT}
        return await self._go_on(intent, charge, Said(known[charge.state]))

    async def _go_on(self, intent: Intent, charge: Charge, said: Said) -> Result:
        """From what was heard to the charge's end; every round is one question to a processor."""
        tried: list[str] = []
        while True:
            step = step_after(said.heard, self._routing.failover)
            if step is Step.CAPTURED or step is Step.DECLINED:
                return await self._steps.settle(charge, step.value, step.value, said.charge_id)
            if step is Step.LEAVE:
                return await self._leave(charge)
            if step is Step.LOOK_UP:
                said = await self._steps.processors[charge.processor].look_up(charge.provider_key)
                continue
            if step is Step.VOID:
                voided = await self._steps.void(charge)
                if voided is None:
                    return await self._steps.as_stored(charge.key)
                charge, said = voided
                continue
            closed_as = CLOSED_AS[said.heard]
            if charge.state == "not_charged":  # resumed: its last attempt was closed before
                closed_as = ""
            else:
                tried.append(charge.processor)
            moved = await self._next(intent, charge, closed_as, tried)
            if isinstance(moved, Result):
                return moved
            charge = moved
            said = await self._ask(intent, charge)

    async def _next(self, intent: Intent, charge: Charge, closed_as: str, tried: list[str]) -> Charge | Result:
        """The present attempt certainly charged nothing: one at another processor, or the end."""
        candidates = self._candidates(intent, tried)
        if not candidates or context.remaining_s() < MIN_TRY_S:
            if not closed_as:
                return NOT_CHARGED
            return await self._steps.settle(charge, closed_as, "not_charged")
        name = candidates[0]
        number = await self._steps.store.next(charge, closed_as, name)
        if number is None:
            return await self._steps.as_stored(charge.key)
        log("charge-moved", key=charge.key, was=closed_as, processor=name, n=number)
        key = provider_key(charge.key, number, name)
        return replace(charge, state="pending", n=number, processor=name, provider_key=key)

    async def _leave(self, charge: Charge) -> Result:
        """The processor cannot be asked now: the resolver will, until it knows."""
        log("charge-in-doubt", level="warning", key=charge.key, processor=charge.processor, state=charge.state)
        with context.bound(reference=charge.reference, deadline_s=0.5):
            await self._steps.store.leave(charge.key, _RESOLVE_IN_S)
        self._wake_resolver()
        return UNKNOWN
