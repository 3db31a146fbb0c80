"""What can be done with the stock, in terms of orders and pieces. All of it may be asked twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from stack.inventory import statements
from stack.kit.database import Database, DatabaseUnavailable

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


class Stock:
    """The inventory database. Methods raise what `stack.kit.database` raises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hold(self, order_id: UUID, lines: Sequence[Line], ttl_s: float) -> Held | Short | Refused | KeyReused:
        """Hold all lines for `ttl_s` seconds, or none."""
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

    async def release(self, order_ids: Sequence[UUID]) -> None:
        """Put back what is held. An order that holds nothing yet never will. What is sold stays sold."""
        await self._settle(statements.RELEASE, order_ids)

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
        return len(await self._database.fetch(statements.EXPIRE, limit, idempotent=True))

    async def products(self) -> list[dict[str, object]]:
        """The whole catalogue in order of popularity."""
        return [dict(row) for row in await self._database.fetch(statements.PRODUCTS, idempotent=True)]

    async def sold_out(self) -> tuple[int, list[str]]:
        """The catalogue's version, and the skus of which nothing is left."""
        row = await self._database.fetchrow(statements.STOCK, idempotent=True)
        assert row is not None
        return row["version"], row["sold_out"]


def _contended(database: Database) -> DatabaseUnavailable:
    return DatabaseUnavailable(database.link, "the same orders are being changed by others over and over")
