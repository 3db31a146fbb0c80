"""What can be done with the stock, in terms of orders and pieces. All of it may be asked twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from stack.inventory import statements
from stack.inventory.salvage import around_damage
from stack.kit.database import Database, DatabaseUnavailable, DataDamaged

_ATTEMPTS = 4
"""A statement that met a row just being written under the same id sees it the next time."""


@dataclass(frozen=True, slots=True)
class Line:
    """So many pieces of one product."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Held:
    """The stock is held (or already sold) for the order until then."""

    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Short:
    """Of these there is not enough."""

    skus: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """These are there, but what the database holds of them can not be read just now."""

    skus: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OnShelf:
    """The catalogue's version, what is sold out, and, where pages are damaged, all that can be read of the rest."""

    version: int
    sold_out: tuple[str, ...]
    readable: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The hold was ended before: `state` is released or expired."""

    state: str


@dataclass(frozen=True, slots=True)
class KeyReused:
    """The order holds other lines."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Which orders have their stock for good, and which never will."""

    confirmed: tuple[str, ...]
    gone: tuple[str, ...]


Outcome = Held | Short | Refused | KeyReused | Unreadable


class Stock:
    """The inventory database. Methods raise what `stack.kit.database` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hold(self, order_id: UUID, lines: Sequence[Line], ttl_s: float) -> Outcome:
        """Hold all lines for `ttl_s` seconds, or none."""
        try:
            return await self._hold(order_id, lines, ttl_s)
        except DataDamaged:
            skus = [line.sku for line in lines if not await self._can_be_read(line.sku)]
            if not skus:
                raise
            return Unreadable(tuple(skus))

    async def _can_be_read(self, sku: str) -> bool:
        try:
            await self._database.fetchval(statements.ONE, sku, idempotent=True)
        except DataDamaged:
            return False
        return True

    async def _hold(self, order_id: UUID, lines: Sequence[Line], ttl_s: float) -> Held | Short | Refused | KeyReused:
        skus = [line.sku for line in lines]
        quantities = [line.quantity for line in lines]
        short: Short | None = None
        for _ in range(_ATTEMPTS):
            row = await self._database.fetchrow(statements.HOLD, order_id, skus, quantities, ttl_s, idempotent=True)
            assert row is not None
            if row["placed"] is not None:
                return Held(row["placed"])
            if row["state"] is not None:
                return await self._again(order_id, lines, row["state"], row["expires_at"])
            if row["short"] and short is not None:
                return short
            # Seen short once: unless the very same order, sent twice at once, was the one that took the last pieces.
            short = Short(tuple(row["short"])) if row["short"] else None
        raise _contended(self._database)

    async def _again(
        self, order_id: UUID, lines: Sequence[Line], state: str, expires_at: datetime
    ) -> Held | Refused | KeyReused:
        if state not in {"held", "confirmed"}:
            return Refused(state)
        rows = await self._database.fetch(statements.HOLD_LINES, order_id, idempotent=True)
        if {(row["sku"], row["quantity"]) for row in rows} != {(line.sku, line.quantity) for line in lines}:
            return KeyReused()
        return Held(expires_at)

    async def confirm(self, order_ids: Sequence[UUID]) -> Confirmed:
        """Sell what is held. An expired hold takes its stock again where there is some; what is gone stays gone."""
        states = await self._settle(statements.CONFIRM, order_ids)
        for order_id, state in states.items():
            if state == "expired":
                states[order_id] = await self._database.fetchval(statements.RETAKE, order_id, idempotent=True)
        unclear = [order_id for order_id, state in states.items() if state is None]
        if unclear:  # somebody else was just retaking them
            states.update(await self._settle(statements.CONFIRM, unclear))
        return Confirmed(
            tuple(str(order_id) for order_id, state in states.items() if state == "confirmed"),
            tuple(str(order_id) for order_id, state in states.items() if state != "confirmed"),
        )

    async def release(self, order_ids: Sequence[UUID]) -> tuple[UUID, ...]:
        """Put back what is held. An order that holds nothing yet never will. What is sold stays sold.

        Gives those that were dealt with: all, but for those whose products can not be read just now.
        """
        try:
            await self._settle(statements.RELEASE, order_ids)
        except DataDamaged:
            if len(order_ids) == 1:
                return ()
            return tuple([done for order_id in order_ids for done in await self.release([order_id])])
        return tuple(order_ids)

    async def _settle(self, statement: str, order_ids: Sequence[UUID]) -> dict[UUID, str | None]:
        """The state of each order after `statement`; those without a hold get a tombstone."""
        final = "confirmed" if statement is statements.CONFIRM else "released"
        states: dict[UUID, str | None] = {}
        left = sorted(set(order_ids))
        for _ in range(_ATTEMPTS):
            rows = await self._database.fetch(statement, left, idempotent=True)
            for row in rows:
                if row["changed"]:
                    states[row["order_id"]] = final
                elif row["state"] != "held":  # else: changed by somebody else while we waited for its lock
                    states[row["order_id"]] = row["state"]
            known = {row["order_id"] for row in rows}
            unknown = [order_id for order_id in left if order_id not in known]
            if unknown:
                tombs = await self._database.fetch(statements.TOMBSTONES, unknown, idempotent=True)
                states.update({row["order_id"]: "released" for row in tombs})
            left = [order_id for order_id in left if order_id not in states]
            if not left:
                return states
        raise _contended(self._database)

    async def extend(self, order_ids: Sequence[UUID], ttl_s: float) -> dict[str, datetime]:
        """Keep what is held for `ttl_s` more seconds from now; gives the new end of each hold that still stands."""
        rows = await self._database.fetch(statements.EXTEND, sorted(set(order_ids)), ttl_s, idempotent=True)
        return {str(row["order_id"]): row["expires_at"] for row in rows}

    async def expire(self, limit: int) -> int:
        """Put back what has been held for too long, at most `limit` orders; gives how many."""
        try:
            return len(await self._database.fetch(statements.EXPIRE, limit, idempotent=True))
        except DataDamaged:
            rows = await self._database.fetch(statements.EXPIRED, limit, idempotent=True)
            return sum([await self._expire_one(row["order_id"]) for row in rows])

    async def _expire_one(self, order_id: UUID) -> int:
        try:
            return len(await self._database.fetch(statements.EXPIRE_THESE, [order_id], idempotent=True))
        except DataDamaged:
            return 0

    async def products(self) -> tuple[list[dict[str, object]], bool]:
        """The catalogue in order of popularity, and whether that is all of it."""
        try:
            return [dict(row) for row in await self._database.fetch(statements.PRODUCTS, idempotent=True)], True
        except DataDamaged:
            rows = await around_damage(self._database, statements.PRODUCTS_BETWEEN)
            return sorted(map(dict, rows), key=lambda row: row["rank"]), False

    async def skus(self) -> frozenset[str]:
        """All there are."""
        return frozenset(row["sku"] for row in await self._database.fetch(statements.SKUS, idempotent=True))

    async def on_shelf(self) -> OnShelf:
        """What is sold out."""
        try:
            row = await self._database.fetchrow(statements.STOCK, idempotent=True)
            assert row is not None
            return OnShelf(row["version"], tuple(row["sold_out"]))
        except DataDamaged:
            version = await self._database.fetchval(statements.VERSION, idempotent=True)
            rows = await around_damage(self._database, statements.PRODUCTS_BETWEEN)
            sold_out = tuple(sorted(row["sku"] for row in rows if row["on_hand"] <= 0))
            return OnShelf(version, sold_out, frozenset(row["sku"] for row in rows))


def _contended(database: Database) -> DatabaseUnavailable:
    return DatabaseUnavailable(database.link, "the same orders are being changed by others over and over")
