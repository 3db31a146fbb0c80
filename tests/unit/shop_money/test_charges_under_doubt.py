"""Two replicas, their resolvers and a cancellation work on one charge while messages and statements go astray."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any
from uuid import UUID, uuid4

import pytest

from stack.kit.database import DatabaseError
from stack.payments.charging import Charging
from stack.payments.processors import Processor, Said
from stack.payments.resolver import Resolver
from stack.payments.results import Result
from stack.payments.rules import Failover, Heard, Routing
from stack.payments.steps import Steps
from stack.payments.store import Charge, Intent, Store, provider_key
from stack.thirdparty.book import Book, ChargeRequest
from tests.unit.shop_money.memory_ledger import MemoryLedger
from tests.unit.shop_money.simulation import Lost, World, run

KEY = "the-key"
CENTS = 1234


class MemoryStore(Store):
    """The statements' meaning over one row; leases never hold, so that everybody may be at it at once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.row: Charge | None = None

    def _move(self, charge: Charge, states: set[str], **changes: Any) -> bool:
        row = self.row
        if row is None or row.n != charge.n or row.state not in states:
            return False
        self.row = dataclasses.replace(row, **changes)
        return True

    async def open(self, intent: Intent, processor: str, fingerprint: str, lease_s: float) -> Charge | None:
        charge = Charge(
            KEY, intent.order_id, CENTS, intent.network, "R", fingerprint, "pending", False, 1, processor,
            provider_key(KEY, 1, processor),
        )  # fmt: skip

        def act() -> Charge | None:
            if self.row is not None:
                return None
            self.row = charge
            return charge

        return await self.world.statement(act)

    async def take(self, key: str, fingerprint: str, lease_s: float) -> tuple[bool, Charge] | None:
        def act() -> tuple[bool, Charge] | None:
            if self.row is None:
                return None
            mine = self.row.state in ("pending", "voiding", "not_charged") and not self.row.cancel_requested
            return mine and self.row.fingerprint == fingerprint, self.row

        return await self.world.statement(act)

    async def next(self, charge: Charge, closed_as: str, processor: str) -> int | None:
        def act() -> int | None:
            if self.row is None or self.row.cancel_requested:
                return None
            n, key = charge.n + 1, provider_key(KEY, charge.n + 1, processor)
            moved = self._move(charge, {charge.state}, state="pending", n=n, processor=processor, provider_key=key)
            return n if moved else None

        return await self.world.statement(act)

    async def voiding(self, charge: Charge) -> bool:
        return await self.world.statement(lambda: self._move(charge, {"pending"}, state="voiding"))

    async def settle(self, charge: Charge, closed_as: str, state: str, charge_id: str | None = None) -> str | None:
        def act() -> str | None:
            wanted = self.row is not None and self.row.cancel_requested and state == "not_charged"
            final = "cancelled" if wanted else state
            return final if self._move(charge, {charge.state}, state=final, charge_id=charge_id or "") else None

        return await self.world.statement(act)

    async def leave(self, key: str, due_in_s: float) -> None:
        await self.world.statement(lambda: None)

    async def cancel(self, key: str, order_id: UUID, due_in_s: float) -> Charge:
        def act() -> Charge:
            if self.row is None:
                self.row = Charge(KEY, order_id, 0, "", "", "", "cancelled", True, 0, "", "")
            states = {"pending": "voiding", "not_charged": "cancelled", "captured": "refunding"}
            state = states.get(self.row.state, self.row.state)
            self.row = dataclasses.replace(self.row, state=state, cancel_requested=True)
            return self.row

        return await self.world.statement(act)

    async def read(self, key: str) -> Charge | None:
        return await self.world.statement(lambda: self.row)

    async def claim(self, lease_s: float, at_most: int) -> list[Charge]:
        row = self.row
        if row is None or row.state not in ("pending", "voiding", "refunding"):
            return []
        return [dataclasses.replace(row, age_s=self.world.draw.choice([0.0, 10.0]))]


class FarProcessor(Processor):
    """A real book behind a link that loses and delays; it also fails before or after it has charged."""

    def __init__(self, name: str, world: World, style: str) -> None:
        self.name = name
        self.world = world
        self.ledger = MemoryLedger()
        loop = asyncio.get_running_loop()
        self.book = Book(self.ledger, style, 0.5 if style == "stores-successes" else 0.0, clock=loop.time)

    @property
    def usable(self) -> bool:
        return not self.world.bad(0.5)

    async def charge(self, intent: Intent, provider_key: str) -> Said:
        wanted = ChargeRequest(
            provider_key, str(intent.order_id), "R", intent.amount_cents, intent.network, intent.token
        )

        def act() -> str:
            if self.world.bad(0.3):
                return self.book.fail(wanted).state
            return self.book.charge(wanted, decline=self.world.bad(0.1), fail_after=self.world.bad(0.3)).state

        try:
            state = await self.world.message(act)
        except Lost as lost:
            return Said(Heard.NOT_SENT if lost.delivered_never else Heard.IN_DOUBT)
        heard = {"captured": Heard.CAPTURED, "declined": Heard.DECLINED, "voided": Heard.VOIDED}
        return Said(heard.get(state, Heard.IN_DOUBT), "ch")

    async def look_up(self, provider_key: str) -> Said:
        try:
            state = await self.world.message(lambda: self.book.look_up(provider_key))
        except Lost:
            return Said(Heard.UNREACHABLE)
        return Said({None: Heard.ABSENT, "refunded": Heard.VOIDED}.get(state) or Heard(state), "ch")

    async def void(self, provider_key: str) -> Said:
        try:
            await self.world.message(lambda: self.book.void(provider_key))
        except Lost:
            return Said(Heard.UNREACHABLE)
        return Said(Heard.VOIDED)

    async def refund(self, provider_key: str) -> bool:
        try:
            return await self.world.message(lambda: self.book.refund(provider_key)) is not None
        except Lost:
            return False

    def kept_cents(self) -> int:
        signs = {"charge": 1, "void": -1, "refund": -1}
        return sum(signs.get(record["entry"], 0) * record["amount_cents"] for record in self.ledger.records)


@dataclasses.dataclass
class Outcome:
    """How one run ended."""

    row: Charge | None
    kept: dict[str, int]
    told: list[Result]


async def one_charge(seed: int, failover: Failover = Failover.SAFE) -> Outcome:
    world = World(seed, trouble=0.35)
    store = MemoryStore(world)
    psps = {
        "psp-a": FarProcessor("psp-a", world, "replays-failures"),
        "psp-b": FarProcessor("psp-b", world, "stores-successes"),
    }
    routing = Routing(("psp-a", "psp-b"), {"visa": "psp-a", "*": "psp-b"}, failover)
    steps = Steps(store, psps)
    resolvers = [Resolver(steps, settle_s=1.0) for _ in range(2)]
    replicas = [Charging(steps, routing, lambda: None) for _ in range(2)]
    intent = Intent(KEY, uuid4(), CENTS, world.draw.choice(["visa", "amex"]), "tok", "R")
    told: list[Result] = []

    async def shopper(charging: Charging) -> None:
        for _ in range(world.draw.randrange(1, 4)):
            await world.pause(1.0)
            told.append(await charging.charge(intent))

    async def resolving(resolver: Resolver) -> None:
        for _ in range(6):
            await world.pause(1.0)
            try:
                await resolver._once()
            except DatabaseError:
                continue

    async def cancelling() -> None:
        await world.pause(3.0)
        try:
            told.append(await resolvers[0].cancel(KEY, intent.order_id))
        except DatabaseError:
            return

    actors = [*map(shopper, replicas), shopper(replicas[0]), *map(resolving, resolvers)]
    if world.draw.random() < 0.3:
        actors.append(cancelling())
    await asyncio.gather(*actors)
    world.heal()
    await world.arrivals()
    for _ in range(20):
        await asyncio.sleep(1.0)
        await resolvers[0]._once()
    return Outcome(store.row, {name: psp.kept_cents() for name, psp in psps.items()}, told)


def wrongs(outcome: Outcome) -> list[str]:
    row, kept = outcome.row, outcome.kept
    if row is None:
        return [] if not any(kept.values()) else [f"charged without an intent: {kept}"]
    expected = {name: CENTS if row.state == "captured" and row.processor == name else 0 for name in kept}
    found = [] if kept == expected else [f"{row.state} at {row.processor}, but kept {kept}"]
    if row.state in ("pending", "voiding", "refunding"):
        found.append(f"left {row.state}")
    for result in outcome.told:
        if result.state == "captured" and row.state not in ("captured", "refunded"):
            found.append(f"told captured, is {row.state}")
        if result.state in ("cancelled", "refunded") and row.state == "captured":
            found.append(f"told {result.state}, is captured")
        if result.state == "declined" and row.state != "declined":
            found.append(f"told declined, is {row.state}")
    return found


@pytest.mark.parametrize("block", range(3))
def test_whatever_goes_astray_a_charge_is_made_once_at_most_and_the_books_know_where(block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        assert wrongs(run(one_charge(seed))) == [], f"seed {seed}"


def test_the_simulation_would_notice_a_double_charge() -> None:
    assert any(wrongs(run(one_charge(seed, Failover.BLIND))) for seed in range(60))


def test_most_charges_come_through() -> None:
    states = [outcome.row.state for outcome in (run(one_charge(seed)) for seed in range(60)) if outcome.row]
    assert states.count("captured") > 30
    assert {"cancelled", "not_charged"} & set(states)
