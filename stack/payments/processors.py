"""Asking the card processors: every answer, and every lack of one, becomes a `Heard`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic
from urllib.parse import quote

from stack.kit.breaker import Breaker
from stack.kit.client import Client, LinkError, NotSent, Reply
from stack.payments.rules import Heard
from stack.payments.store import Intent

_LOOKED_UP = {
    "captured": Heard.CAPTURED,
    "declined": Heard.DECLINED,
    "failed": Heard.FAILED,
    "voided": Heard.VOIDED,
    "refunded": Heard.VOIDED,
}
_PING_S = 0.25
_HEALED_S = 5.0


@dataclass(frozen=True, slots=True)
class Said:
    """What a processor said, and its name for the charge where it said that it captured."""

    heard: Heard
    charge_id: str | None = None


class Processor:
    """One card processor.

    Charges go through a breaker. Questions (look-up, void, refund) do not: they cost no shopper anything, and their
    success must not hide that charges fail. While the breaker is open a ping asks whether the processor can be reached
    at all; only then is a shopper's charge risked to find out whether it works again.
    """

    def __init__(self, name: str, *, charge_timeout_s: float, ask_timeout_s: float, open_s: float = 1.0) -> None:
        self.name = name
        self._breaker = Breaker(open_s=open_s)
        self._charges = Client(name, timeout_s=charge_timeout_s, breaker=self._breaker)
        self._questions = Client(name, timeout_s=ask_timeout_s, pool=16)
        self._reachable = True
        self._failed_at = 0.0

    @property
    def healthy(self) -> bool:
        """Whether charges have gone well lately, or nobody has tried since it could be reached again."""
        if not self._breaker.is_open:
            return True
        return self._reachable and monotonic() - self._failed_at > _HEALED_S

    @property
    def usable(self) -> bool:
        """Whether a charge may be tried here now."""
        if not self._breaker.is_open:
            return True
        return self._reachable and self._breaker.retry_after_s() == 0.0

    async def charge(self, intent: Intent, provider_key: str) -> Said:
        """Ask for the money, once: nothing is sent twice, so what was not sent is known not to have happened."""
        body = {
            "amount_cents": intent.amount_cents,
            "card": {"network": intent.network, "token": intent.token},
            "reference": intent.reference,
            "order_id": str(intent.order_id),
        }
        try:
            reply = await self._charges.call(
                "POST", "/charges", body, headers={"idempotency-key": provider_key}, idempotent=False
            )
        except NotSent:
            said = Said(Heard.NOT_SENT)
        except LinkError:
            said = Said(Heard.IN_DOUBT)
        else:
            said = _said_to_charge(reply)
        if said.heard in (Heard.NOT_SENT, Heard.IN_DOUBT):
            self._failed_at = monotonic()
        return said

    async def look_up(self, provider_key: str) -> Said:
        """Ask what became of an attempt."""
        reply = await self._ask("GET", f"/charges?key={quote(provider_key, safe='')}", None)
        if reply is None or reply.status not in (200, 404):
            return Said(Heard.UNREACHABLE)
        if reply.status == 404:
            return Said(Heard.ABSENT)
        try:
            document = reply.json()
            return Said(_LOOKED_UP[document["state"]], document["id"])
        except (ValueError, KeyError, TypeError):  # a garbled answer is no answer
            return Said(Heard.UNREACHABLE)

    async def void(self, provider_key: str) -> Said:
        """Make sure that nothing is, or ever gets, charged by an attempt."""
        reply = await self._ask("POST", "/charges/void", {"key": provider_key})
        return Said(Heard.VOIDED if reply is not None and reply.status == 200 else Heard.UNREACHABLE)

    async def refund(self, provider_key: str) -> bool:
        """Hand back what an attempt captured; true when that is done."""
        reply = await self._ask("POST", "/refunds", {"key": provider_key})
        return reply is not None and reply.status == 200

    async def watch(self) -> None:
        """For ever: while the breaker is open, ask whether the processor can be reached."""
        while True:
            await asyncio.sleep(_PING_S)
            if self._breaker.is_open:
                self._reachable = await self._ask("GET", "/charges?key=ping", None) is not None

    async def _ask(self, method: str, path: str, body: object | None) -> Reply | None:
        try:
            return await self._questions.call(method, path, body)
        except LinkError:
            return None

    async def close(self) -> None:
        """Close the connections."""
        await self._charges.close()
        await self._questions.close()


def _said_to_charge(reply: Reply) -> Said:
    """5xx is doubt: a processor may fail after it has taken the money. So is an answer that cannot be read."""
    if reply.status == 201:
        try:
            return Said(Heard.CAPTURED, reply.json()["id"])
        except (ValueError, KeyError, TypeError):
            return Said(Heard.IN_DOUBT)
    if reply.status == 402:
        return Said(Heard.DECLINED)
    if reply.status == 409:
        return Said(Heard.VOIDED)
    return Said(Heard.REFUSED if 400 <= reply.status < 500 else Heard.IN_DOUBT)
