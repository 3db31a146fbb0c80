"""An order's way while its shopper waits: stored, stock held, money captured, accepted with its messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from stack.checkout.counters import ended
from stack.checkout.orders import CLOSED_UNPLACED, TERMINAL, NewOrder
from stack.checkout.partners import Inventory, Payments
from stack.checkout.rules import (
    Held,
    Move,
    Parking,
    after_charge,
    after_hold,
    parked_after_charge,
    parked_before_charge,
)
from stack.checkout.soldout import SoldOut
from stack.checkout.store import Store
from stack.kit import context
from stack.kit.database import DatabaseError
from stack.kit.log import log

ANSWER_MARGIN_S = 0.1
"""An answer leaves this long before the deadline, so that it arrives."""
STORE_MARGIN_S = 0.25
"""The stock and the payments have this much less time than the shopper waits, so that what they said is stored."""
LEASE_MARGIN_S = 0.5
_POLL_S = 0.15
_STORE_S = 1.0
_STORE_AGAIN_S = 0.1
_FINISH_IN_S = 0.3


@dataclass(frozen=True, slots=True)
class Ending:
    """What there is to tell: a terminal state with its details, or (`state` empty) the type of a problem."""

    state: str = ""
    problem: dict[str, Any] | None = None
    told: str = ""


PENDING = Ending(told="order-pending")


@dataclass(frozen=True, slots=True)
class Parts:
    """What an order's way needs. For `resume_s` an order that stopped waits for its shopper's next try."""

    store: Store
    inventory: Inventory
    payments: Payments
    resume_s: float
    charge_least_s: float
    wake_finisher: Callable[[], None]
    wake_mails: Callable[[], None]
    wake_stock: Callable[[], None]
    sold_out: SoldOut = field(default_factory=SoldOut)


class Saga:
    """The orders at work in this process; each key has one worker, which outlives the request that began it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store
        self._workers: dict[str, tuple[str, asyncio.Task[Ending]]] = {}

    def at_work_on(self, key: str) -> bool:
        """Whether a worker of this process is on this order."""
        return key in self._workers

    async def place(self, order: NewOrder) -> Ending:
        """Take an order to an end; the same key joins or repeats. `order-pending` when the deadline comes first."""
        known = self._workers.get(order.key)
        if known is None:
            task = asyncio.get_running_loop().create_task(self._work(order))
            self._workers[order.key] = (order.fingerprint, task)
            task.add_done_callback(lambda _: self._workers.pop(order.key))
        elif known[0] == order.fingerprint:
            task = known[1]
        else:
            return Ending(told="idempotency-key-reused")
        await asyncio.wait({task}, timeout=max(0.0, context.remaining_s() - ANSWER_MARGIN_S))
        return task.result() if task.done() else PENDING

    async def _work(self, order: NewOrder) -> Ending:
        lease_s = context.remaining_s() + LEASE_MARGIN_S
        lease_ends = monotonic() + lease_s
        short = self._parts.sold_out.known(order.hold_lines)
        try:
            if short and await self._store.place_refused(order, {"skus": short}):
                ended("rejected_sold_out")
                log("order-rejected_sold_out", order_id=str(order.order_id), known=True)
                return Ending("rejected_sold_out", {"skus": short})
            fresh = not short and await self._store.place(order, lease_s)
        except DatabaseError as error:
            # If it was stored after all, the finisher ends it: no charge was begun by this try.
            log("order-not-begun", level="error", error=str(error))
            return Ending(told="checkout-unavailable")
        if not fresh:
            return await self._again(order, lease_s, lease_ends)
        log("order-placed", order_id=str(order.order_id), network=order.network)
        return await _Worker(self._parts, order, 1, False, lease_ends).run()

    async def _again(self, order: NewOrder, lease_s: float, lease_ends: float) -> Ending:
        """The key is known: its end, or go on where it stopped, or wait for whoever is at it."""
        while True:
            try:
                taken = await self._store.take(order.key, order.fingerprint, lease_s)
            except DatabaseError as error:
                log("order-not-taken", level="error", error=str(error))
                return PENDING
            if taken is None:
                return PENDING
            mine, stored = taken
            if stored.fingerprint == CLOSED_UNPLACED:
                return Ending(stored.state, stored.problem)
            if stored.fingerprint != order.fingerprint:
                return Ending(told="idempotency-key-reused")
            if mine:
                log("order-resumed", state=stored.state, attempt=stored.attempt)
                return await _Worker(self._parts, order, stored.epoch, stored.may_be_charged, lease_ends).run()
            if stored.state in TERMINAL:
                return Ending(stored.state, stored.problem)
            if context.remaining_s() < 2 * _POLL_S:
                return PENDING
            await asyncio.sleep(_POLL_S)


class _Worker:
    """One try at one order. `might` says whether an earlier try may have charged it."""

    def __init__(self, parts: Parts, order: NewOrder, epoch: int, might: bool, lease_ends: float) -> None:
        self._parts = parts
        self._store = parts.store
        self._order = order
        self._epoch = epoch
        self._might = might
        self._lease_ends = lease_ends

    async def run(self) -> Ending:
        """Stock, then money, then the end."""
        with context.deadline(max(0.0, context.remaining_s() - STORE_MARGIN_S)):
            answer = await self._parts.inventory.hold(self._order)
            move = after_hold(answer.held, self._might)
            if answer.held is Held.SOLD_OUT:
                self._parts.sold_out.heard(answer.skus, self._order.hold_lines)
            if move is Move.PARK:
                why = "product-unavailable" if answer.skus else "inventory-unavailable"
                return await self._park(parked_before_charge(self._might, why), answer.skus)
            if move is Move.CHARGE:
                if context.remaining_s() < self._parts.charge_least_s:
                    return await self._park(parked_before_charge(self._might, "payment-unavailable"))
                paid = await self._parts.payments.charge(self._order)
                move = after_charge(paid)
                if move is Move.PARK:
                    return await self._park(parked_after_charge(paid, self._might))
        return await self._end(move, {"skus": answer.skus} if move is Move.REJECT_SOLD_OUT else {})

    async def _end(self, move: Move, problem: dict[str, Any]) -> Ending:
        order_id = self._order.order_id
        if move is Move.ACCEPT:
            return await self._stored(lambda: self._store.accept(order_id), Ending("accepted"))
        if move is Move.CANCEL:
            await self._stored(lambda: self._store.give_up(order_id, self._epoch), PENDING)
            self._parts.wake_finisher()
            return PENDING
        # That a card was declined is true whoever says so; other refusals are for whoever took the order last.
        epoch = None if move is Move.REJECT_DECLINED else self._epoch
        ending = Ending(move.value, problem)
        # Who hears at once that the card was declined, or the thing sold out, needs no mail about it.
        tell = move is Move.FAIL or monotonic() > self._lease_ends - LEASE_MARGIN_S - ANSWER_MARGIN_S
        return await self._stored(lambda: self._store.refuse(order_id, move.value, problem, epoch, tell=tell), ending)

    async def _stored(self, write: Callable[[], Awaitable[bool]], ending: Ending) -> Ending:
        """Store how the try ended, again and again while the order is ours; after that the finisher finds it out."""
        with context.bound(reference=self._order.reference) as work:
            while True:
                work.deadline = monotonic() + _STORE_S
                try:
                    if await write():
                        return self._told(ending)
                    return await self._as_stored()
                except DatabaseError as error:
                    if monotonic() > self._lease_ends:
                        log("order-left", level="error", state=ending.state, error=str(error))
                        return PENDING
                    await asyncio.sleep(_STORE_AGAIN_S)

    def _told(self, ending: Ending) -> Ending:
        if ending.state:
            ended(ending.state)
            log(f"order-{ending.state}", order_id=str(self._order.order_id), total_cents=self._order.total_cents)
            self._parts.wake_stock()
            self._parts.wake_mails()
        return ending

    async def _as_stored(self) -> Ending:
        """The order has moved: by another worker, the finisher, or a statement of ours whose answer was lost."""
        stored = await self._store.read(self._order.order_id)
        if stored is None or stored.state not in TERMINAL:
            return PENDING
        return Ending(stored.state, stored.problem)

    async def _park(self, parking: Parking, skus: tuple[str, ...] = ()) -> Ending:
        """Stop here. What is told is true even if it cannot be stored: the finisher then asks payments first."""
        log("order-parked", level="warning", state=parking.state, told=parking.told)
        told = Ending(told=parking.told, problem={"skus": list(skus)} if skus else None)
        due_in_s = _FINISH_IN_S if parking.may_be_charged else self._parts.resume_s
        with context.bound(reference=self._order.reference, deadline_s=_STORE_S):
            try:
                parked = await self._store.park(self._order.order_id, self._epoch, parking, due_in_s)
            except DatabaseError as error:
                log("order-not-parked", level="error", error=str(error))
                return told
        self._parts.wake_finisher()
        return told if parked else PENDING
