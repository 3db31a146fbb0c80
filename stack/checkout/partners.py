"""Asking the stock, the payments and the mail provider: every answer, and every lack of one, becomes a plain word."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

from stack.checkout.orders import NewOrder
from stack.checkout.rules import Held, Paid
from stack.kit import context
from stack.kit.breaker import Breaker
from stack.kit.client import Client, LinkError, NotSent, OutcomeUnknown, Reply
from stack.kit.outbox import Message

_AGAIN_IN_S = 0.1
_AGAIN_LEAST_S = 1.0
_STATES = {
    "captured": Paid.CAPTURED,
    "declined": Paid.DECLINED,
    "not_charged": Paid.NOT_CHARGED,
    "cancelled": Paid.CANCELLED,
    "refunded": Paid.REFUNDED,
}
_CHARGE_STATUSES = {201: Paid.CAPTURED, 402: Paid.DECLINED, 409: Paid.CANCELLED, 503: Paid.NOT_CHARGED}


class PaymentsOutOfReach(Exception):
    """Payments cannot be asked now."""


@dataclass(frozen=True, slots=True)
class HoldAnswer:
    """What became of the stock, and which skus were sold out, or can not be sold just now."""

    held: Held
    skus: tuple[str, ...] = ()


class Inventory:
    """The stock."""

    def __init__(self, *, timeout_s: float, ttl_s: float) -> None:
        self._client = Client("inventory", timeout_s=timeout_s, retries=1, breaker=Breaker())
        self._later = Client("inventory", timeout_s=2.0, pool=4)
        self._ttl_s = ttl_s

    async def hold(self, order: NewOrder) -> HoldAnswer:
        """Set the stock of an order aside; asking again is the same hold."""
        body = {"order_id": str(order.order_id), "lines": order.hold_lines, "ttl_s": self._ttl_s}
        try:
            reply = await self._client.call("POST", "/holds", body, headers={"idempotency-key": str(order.order_id)})
        except LinkError:
            return HoldAnswer(Held.UNAVAILABLE)
        if reply.status == 201:
            return HoldAnswer(Held.YES)
        document = _document(reply)
        if document.get("type") == "/problems/product-unavailable":
            return HoldAnswer(Held.UNAVAILABLE, tuple(map(str, document.get("skus") or ())))
        if reply.status != 409:
            return HoldAnswer(Held.UNAVAILABLE)
        if document.get("type") == "/problems/sold-out":
            return HoldAnswer(Held.SOLD_OUT, tuple(map(str, document.get("skus") or ())))
        return HoldAnswer(Held.REFUSED)

    async def confirm(self, order_ids: Sequence[str]) -> tuple[set[str], list[UUID]] | None:
        """Turn holds into sales: (all that were dealt with, those whose stock is gone); None: it cannot be asked."""
        document = await self._send("/holds/confirm", order_ids)
        if document is None:
            return None
        gone = [UUID(order_id) for order_id in document["gone"]]
        return {*map(str, document["confirmed"]), *map(str, gone)}, gone

    async def release(self, order_ids: Sequence[str]) -> set[str]:
        """Let holds go, even those that are still on their way; which were dealt with."""
        document = await self._send("/holds/release", order_ids)
        return set() if document is None else set(map(str, document["released"]))

    async def _send(self, path: str, order_ids: Sequence[str]) -> dict[str, Any] | None:
        try:
            reply = await self._later.call("POST", path, {"order_ids": order_ids})
        except LinkError:
            return None
        return _document(reply) if reply.status == 200 else None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
        await self._later.close()


class Payments:
    """The money."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._client = Client("payments", timeout_s=timeout_s, breaker=Breaker())

    async def charge(self, order: NewOrder) -> Paid:
        """Charge an order. Not sent, and refused with 503, mean that this request charged nothing."""
        body = {
            "order_id": str(order.order_id),
            "amount_cents": order.total_cents,
            "card": {"network": order.network, "token": order.token},
            "reference": order.reference,
        }
        headers = {"idempotency-key": order.key}
        with context.deadline(self._timeout_s):
            try:
                return _paid(await self._client.call("POST", "/charges", body, headers=headers))
            except NotSent:
                return Paid.NOT_CHARGED
            except OutcomeUnknown:
                # It may have been a connection of a process that is gone; the key makes asking again safe.
                if context.remaining_s() < _AGAIN_LEAST_S:
                    return Paid.UNKNOWN
            await asyncio.sleep(_AGAIN_IN_S)
            try:
                paid = _paid(await self._client.call("POST", "/charges", body, headers=headers))
            except LinkError:
                return Paid.UNKNOWN
            # The first request may still be on its way, so "not charged" is no longer certain.
            return Paid.UNKNOWN if paid is Paid.NOT_CHARGED else paid

    async def ask(self, key: str) -> Paid:
        """What became of a charge. Raises PaymentsOutOfReach."""
        reply = await self._ask("GET", f"/charges/{quote(key, safe='')}", None)
        if reply.status == 404:
            return Paid.NEVER_HEARD
        return self._state(reply)

    async def health(self) -> str:
        """What payments says of itself: up, degraded or down; `down` where it can not be asked."""
        try:
            reply = await self._ask("GET", "/health", None)
        except PaymentsOutOfReach:
            return "down"
        return str(_document(reply).get("state", "down"))

    async def cancel(self, key: str, order_id: UUID) -> Paid:
        """Make sure that nothing is or stays charged. Raises PaymentsOutOfReach."""
        return self._state(
            await self._ask("POST", f"/charges/{quote(key, safe='')}/cancel", {"order_id": str(order_id)})
        )

    async def _ask(self, method: str, path: str, body: object | None) -> Reply:
        try:
            return await self._client.call(method, path, body, timeout_s=2.0)
        except LinkError as error:
            raise PaymentsOutOfReach(str(error)) from error

    def _state(self, reply: Reply) -> Paid:
        return _STATES.get(_document(reply).get("state", ""), Paid.UNKNOWN) if reply.status == 200 else Paid.UNKNOWN

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


class Mail:
    """The mail provider."""

    def __init__(self) -> None:
        self._client = Client("mail", timeout_s=2.0, pool=4)

    async def send(self, messages: Sequence[Message]) -> set[str]:
        """Hand messages over; gives the keys that were taken, none where the provider cannot be asked."""
        body = {"messages": [{"key": message.key, **message.payload} for message in messages]}
        try:
            reply = await self._client.call("POST", "/messages", body)
        except LinkError:
            return set()
        return set(_document(reply).get("accepted", ())) if reply.status == 200 else set()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _paid(reply: Reply) -> Paid:
    return _CHARGE_STATUSES.get(reply.status, Paid.UNKNOWN)


def _document(reply: Reply) -> dict[str, Any]:
    """The answer's JSON object; an empty one where it is none."""
    try:
        document = reply.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
