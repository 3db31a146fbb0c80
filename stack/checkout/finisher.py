"""The finisher: drives every order that nobody works on to its end, for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stack.checkout.counters import ended, unfinished
from stack.checkout.orders import Order
from stack.checkout.partners import PaymentsOutOfReach
from stack.checkout.rules import Move, Paid, after_cancel, finish
from stack.checkout.saga import Parts
from stack.kit import context
from stack.kit.database import DatabaseError
from stack.kit.log import log

POLL_S = 0.5
LEASE_S = 1.0
_BATCH = 40
_AT_ONCE = 8
_COUNT_EVERY = 4


class Finisher:
    """`at_work_on` tells which keys a request is working on in this process."""

    def __init__(self, parts: Parts, at_work_on: Callable[[str], bool]) -> None:
        self._parts = parts
        self._store = parts.store
        self._at_work_on = at_work_on
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def run(self, wake: asyncio.Event) -> None:
        """Finish for ever, first what a former process of this name left; `wake` makes the next pass come soon."""
        rounds = 0
        reclaimed = False
        while True:
            wake.clear()
            busy = False
            try:
                if not reclaimed:
                    await self._store.reclaim()
                    reclaimed = True
                busy = await self._once()
                if rounds % _COUNT_EVERY == 0:
                    unfinished(await self._store.unfinished())
            except DatabaseError as error:
                log("finisher-stalled", level="error", error=str(error))
            rounds += 1
            if not busy:
                await self._pause(wake)

    async def _pause(self, wake: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(POLL_S):
                await wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(POLL_S / 2)

    async def _once(self) -> bool:
        """One pass; whether there may be more to do at once."""
        orders = await self._store.claim(LEASE_S, _BATCH)
        if not orders:
            return False
        reached = await asyncio.gather(*map(self._finish_claimed, orders))
        return all(reached) and len(orders) == _BATCH

    async def _finish_claimed(self, order: Order) -> bool:
        """False where payments or the database could not be asked: the next pass is not to come at once then."""
        if self._at_work_on(order.key):
            return True
        async with self._places:
            with context.bound(reference=order.reference, deadline_s=2 * LEASE_S):
                try:
                    await self._finish(order)
                except (PaymentsOutOfReach, DatabaseError) as error:
                    log("order-unfinished", level="warning", state=order.state, error=str(error))
                    return False
        return True

    async def _finish(self, order: Order) -> None:
        move = self._move(order, None)
        if move is Move.ASK:
            move = self._move(order, await self._parts.payments.ask(order.key))
        if move is Move.ACCEPT:
            self._log_end(order, "accepted", await self._store.accept(order.order_id))
        elif move is Move.REJECT_DECLINED:
            self._log_end(order, move.value, await self._store.refuse(order.order_id, move.value, {}, tell=True))
        elif move is Move.FAIL:
            done = await self._store.refuse(order.order_id, move.value, {}, order.epoch, tell=True)
            self._log_end(order, move.value, done)
        elif move is Move.CANCEL:
            await self._cancel(order)

    def _move(self, order: Order, paid: Paid | None) -> Move:
        return finish(order.state, order.may_be_charged, order.idle_s, self._parts.resume_s, paid)

    async def _cancel(self, order: Order) -> None:
        """Give the order up, that first, and then the money."""
        if order.state != "cancelling" and not await self._store.give_up(order.order_id, order.epoch):
            return
        move = after_cancel(await self._parts.payments.cancel(order.key, order.order_id))
        if move is not Move.WAIT:
            self._log_end(order, move.value, await self._store.cancelled(order.order_id, move.value))

    def _log_end(self, order: Order, state: str, done: bool) -> None:
        if not done:
            return
        ended(state)
        log(f"order-{state}", order_id=str(order.order_id), finished_from=order.state, idle_s=round(order.idle_s, 2))
        self._parts.wake_stock()
        self._parts.wake_mails()
