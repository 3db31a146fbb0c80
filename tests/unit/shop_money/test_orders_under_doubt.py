"""Two replicas and their finishers work on one order while messages and statements go astray."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from stack.checkout.finisher import Finisher
from stack.checkout.orders import NewOrder, Order, parse
from stack.checkout.partners import HoldAnswer, Inventory, Payments, PaymentsOutOfReach
from stack.checkout.rules import Held, Paid, Parking
from stack.checkout.saga import Ending, Parts, Saga
from stack.checkout.store import Store
from stack.kit.database import DatabaseError
from tests.unit.shop_money.simulation import Lost, World, run

OPEN = {"placed", "held", "payment_unknown"}
ENDS = {"accepted", "rejected_sold_out", "rejected_declined", "failed", "cancelled_refunded"}


class MemoryStore(Store):
    """The statements' meaning over one row; leases never hold, so that everybody may be at it at once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.row: Order | None = None
        self.outbox: Counter[str] = Counter()
        self.told_by_mail = False

    def _move(self, states: set[str], only: int | None, message: str = "", **changes: Any) -> bool:
        row = self.row
        if row is None or row.state not in states or (only is not None and row.epoch != only):
            return False
        self.row = dataclasses.replace(row, **changes)
        if message:
            self.outbox[message] += 1
        return True

    async def place(self, order: NewOrder, lease_s: float) -> bool:
        def act() -> bool:
            if self.row is not None:
                return False
            self.row = Order(
                order.order_id, order.key, order.fingerprint, order.reference, "placed", 1, 1, True, 100, {}
            )  # fmt: skip
            return True

        return await self.world.statement(act)

    async def take(self, key: str, fingerprint: str, lease_s: float) -> tuple[bool, Order] | None:
        def act() -> tuple[bool, Order] | None:
            before = self.row
            if before is None:
                return None
            mine = self._move(OPEN, None, epoch=before.epoch + 1, attempt=before.attempt + 1, may_be_charged=True)
            assert self.row is not None
            return mine, dataclasses.replace(self.row, may_be_charged=before.may_be_charged)

        return await self.world.statement(act)

    async def accept(self, order_id: UUID) -> bool:
        return await self.world.statement(lambda: self._move(OPEN, None, "confirm", state="accepted"))

    async def refuse(
        self, order_id: UUID, state: str, problem: dict[str, Any], epoch: int | None = None, *, tell: bool
    ) -> bool:
        self.told_by_mail |= tell
        return await self.world.statement(lambda: self._move(OPEN, epoch, "release", state=state, problem=problem))

    async def park(self, order_id: UUID, epoch: int, parking: Parking, due_in_s: float) -> bool:
        def act() -> bool:
            return self._move(OPEN, epoch, state=parking.state, may_be_charged=parking.may_be_charged)

        return await self.world.statement(act)

    async def give_up(self, order_id: UUID, epoch: int) -> bool:
        return await self.world.statement(lambda: self._move(OPEN, epoch, state="cancelling"))

    async def cancelled(self, order_id: UUID, state: str) -> bool:
        self.told_by_mail = True
        return await self.world.statement(lambda: self._move({"cancelling"}, None, "release", state=state))

    async def read(self, order_id: UUID) -> Order | None:
        return await self.world.statement(lambda: self.row)

    async def claim(self, lease_s: float, at_most: int) -> list[Order]:
        if self.row is None or not self._move({*OPEN, "cancelling"}, None, epoch=self.row.epoch + 1):
            return []
        return [dataclasses.replace(self.row, idle_s=self.world.draw.choice([0.0, 0.0, 0.0, 60.0]))]


class FarInventory(Inventory):
    """Stock behind a link that loses and delays; a hold may be too late for the stock, or have run out."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sold_out = world.draw.random() < 0.1

    async def hold(self, order: NewOrder) -> HoldAnswer:
        def act() -> HoldAnswer:
            if self.sold_out or self.world.bad(0.1):
                return HoldAnswer(Held.SOLD_OUT)
            return HoldAnswer(Held.REFUSED if self.world.bad(0.1) else Held.YES)

        try:
            return await self.world.message(act)
        except Lost:
            return HoldAnswer(Held.UNAVAILABLE)


class FarPayments(Payments):
    """What payments promises (one charge a key, a cancellation that nothing gets past), behind a bad link."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.state = "never_heard"
        self.captures = 0

    def _charge(self) -> Paid:
        if self.state in ("never_heard", "not_charged", "unknown"):
            self.state = "captured"
            if self.world.bad(0.3):
                self.state = "not_charged"
            elif self.world.bad(0.2):
                self.state = "declined"
            elif self.world.bad(0.5):
                self.state = "unknown"
            self.captures += self.state == "captured"
        return Paid.CANCELLED if self.state == "refunded" else Paid(self.state)

    def _resolve(self) -> Paid:
        if self.state == "unknown" and not self.world.bad():
            self.state = self.world.draw.choice(["captured", "not_charged"])
            self.captures += self.state == "captured"
        return Paid(self.state)

    def _cancel(self) -> Paid:
        self._resolve()
        if self.state == "captured":
            self.captures -= 1
            self.state = "refunded"
        elif self.state in ("never_heard", "not_charged"):
            self.state = "cancelled"
        return Paid(self.state)

    async def charge(self, order: NewOrder) -> Paid:
        try:
            return await self.world.message(self._charge)
        except Lost as lost:
            return Paid.NOT_CHARGED if lost.delivered_never else Paid.UNKNOWN

    async def ask(self, key: str) -> Paid:
        try:
            return await self.world.message(self._resolve)
        except Lost as lost:
            raise PaymentsOutOfReach("lost") from lost

    async def cancel(self, key: str, order_id: UUID) -> Paid:
        try:
            return await self.world.message(self._cancel)
        except Lost as lost:
            raise PaymentsOutOfReach("lost") from lost


ORDER = parse(
    "the-key",
    {
        "lines": [{"sku": "G1", "quantity": 2, "price_cents": 50}],
        "total_cents": 100,
        "card": {"network": "visa", "token": "tok"},
        "email": "a@b.example",
    },
    None,
)


@dataclasses.dataclass
class Outcome:
    """How one run ended."""

    row: Order | None
    outbox: Counter[str]
    payments: FarPayments
    told: list[Ending]
    told_by_mail: bool


async def one_order(seed: int) -> Outcome:
    world = World(seed, trouble=0.35)
    store, payments = MemoryStore(world), FarPayments(world)

    def nothing() -> None: ...

    parts = Parts(store, FarInventory(world), payments, 4.0, 1.5, nothing, nothing, nothing)
    replicas = [Saga(parts) for _ in range(2)]
    finishers = [Finisher(parts, lambda _key: False) for _ in range(2)]
    told: list[Ending] = []

    async def shopper(saga: Saga) -> None:
        for _ in range(world.draw.randrange(1, 5)):
            await world.pause(2.0)
            told.append(await saga.place(ORDER))

    async def finishing(finisher: Finisher) -> None:
        for _ in range(5):
            await world.pause(3.0)
            await finisher._once()

    shoppers: Sequence[Saga] = [replicas[0], *replicas[: world.draw.randrange(3)]]
    await asyncio.gather(*map(shopper, shoppers), *map(finishing, finishers))
    world.heal()
    await world.arrivals()
    for _ in range(40):
        await asyncio.sleep(1.0)
        await finishers[0]._once()
    return Outcome(store.row, store.outbox, payments, told, store.told_by_mail)


def wrongs(outcome: Outcome) -> list[str]:
    row, payments = outcome.row, outcome.payments
    if row is None:
        return ["charged without an order"] if payments.captures else []
    accepted = row.state == "accepted"
    found = [] if row.state in ENDS else [f"left {row.state}"]
    if payments.captures != int(accepted):
        found.append(f"{row.state}, but payments {payments.state} with {payments.captures} captures")
    if outcome.outbox != Counter(["confirm" if accepted else "release"]):
        found.append(f"{row.state}, but messages {outcome.outbox}")
    told = {ending.state for ending in outcome.told if ending.state}
    found += [f"told {state}, is {row.state}" for state in told if state != row.state]
    if not accepted and not told and not outcome.told_by_mail:
        found.append(f"{row.state}, and nobody told the shopper")
    definite = [ending.told not in ("", "order-pending") for ending in outcome.told]
    if accepted and all(definite):
        found.append(f"told no for sure, is accepted: {outcome.told}")
    return found


@pytest.mark.parametrize("block", range(3))
def test_whatever_goes_astray_an_order_ends_and_is_paid_exactly_if_accepted(block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        assert wrongs(run(one_order(seed))) == [], f"seed {seed}"


def test_every_way_to_end_is_gone() -> None:
    states = Counter(outcome.row.state for outcome in (run(one_order(seed)) for seed in range(300)) if outcome.row)
    assert set(states) == ENDS
    assert states["accepted"] > 80


def test_a_store_that_cannot_be_reached_is_a_definite_no() -> None:
    async def refused() -> Ending:
        world = World(1, trouble=0.0)
        store = MemoryStore(world)

        async def down(order: NewOrder, lease_s: float) -> bool:
            raise DatabaseError("checkout.orders-db", "down")

        store.place = down  # type: ignore[method-assign]

        def nothing() -> None: ...

        return await Saga(Parts(store, FarInventory(world), FarPayments(world), 4, 1, nothing, nothing, nothing)).place(
            ORDER
        )

    assert run(refused()) == Ending(told="checkout-unavailable")
