"""A card processor's book: what it knows of each key, and what it answers when asked again.

Two styles, as real processors have them. `replays-failures` stores every answer, failures too, under its key and gives
it again; it answers look-ups at once. `stores-successes` stores captures only, so a failed key may be tried again; a
look-up within `lookup_delay_s` of the charge says that there is none, though there is.
Everything between looking at a key and writing it down happens without awaiting, so two requests cannot interleave.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Protocol

STYLES = ("replays-failures", "stores-successes")


class Ledger(Protocol):
    """Where the book writes: each record is safe before `append` returns."""

    def append(self, record: dict[str, Any]) -> None:
        """Add one record."""

    def read(self) -> list[dict[str, Any]]:
        """All records, oldest first."""


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """What a client asks to have charged under a key."""

    key: str
    order_id: str
    reference: str
    amount_cents: int
    network: str
    card: str
    """What the card is known by, and cannot be used by."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the book knows of a key. `state`: captured, declined, failed, voided, refunded; `since` is a monotonic time.

    `tombstone` marks a void of a key that was never charged. `answered_failure`: the money was captured, but the
    client was told of a failure.
    """

    state: str
    since: float
    order_id: str | None
    reference: str | None
    amount_cents: int
    network: str | None
    tombstone: bool = False
    answered_failure: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client is told: captured, declined, failed (500), voided (409) mismatch (422: another's key)."""

    state: str
    id: str


class Book:
    """Keys and their state, rebuilt from the ledger when the processor starts again."""

    def __init__(
        self, ledger: Ledger, style: str, lookup_delay_s: float = 0.0, clock: Callable[[], float] = monotonic
    ) -> None:
        if style not in STYLES:
            raise ValueError(f"STYLE={style!r} is unknown; there are {' and '.join(STYLES)}")
        self._ledger = ledger
        self._replays_failures = style == "replays-failures"
        self._lookup_delay_s = lookup_delay_s
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        for record in ledger.read():
            self._replay(record)

    def stored_answer(self, request: ChargeRequest) -> Answer | None:
        """The answer this key has already, if any."""
        entry = self._entries.get(request.key)
        if entry is None:
            return None
        if not entry.tombstone and (entry.amount_cents, entry.order_id) != (request.amount_cents, request.order_id):
            return Answer("mismatch", "")
        if entry.state in ("voided", "refunded"):
            return Answer("voided", "")
        if entry.answered_failure:
            return Answer("failed", "")
        return Answer(entry.state, charge_id(request.key))

    def charge(self, request: ChargeRequest, *, decline: bool = False, fail_after: bool = False) -> Answer:
        """Capture (or decline) once per key; `fail_after` tells the client of a failure though the money was taken."""
        stored = self.stored_answer(request)
        if stored is not None:
            return stored
        if decline:
            self._write("decline", request)
            if self._replays_failures:
                self._keep(request, "declined")
            return Answer("declined", charge_id(request.key))
        unheard = fail_after and self._replays_failures
        self._write("charge", request, answered_failure=unheard)
        self._keep(request, "captured", answered_failure=unheard)
        return Answer("failed", "") if fail_after else Answer("captured", charge_id(request.key))

    def fail(self, request: ChargeRequest) -> Answer:
        """Fail without having taken anything; one style remembers it for ever."""
        stored = self.stored_answer(request)
        if stored is not None:
            return stored
        self._write("failure", request)
        if self._replays_failures:
            self._keep(request, "failed")
        return Answer("failed", "")

    def look_up(self, key: str) -> str | None:
        """The state of a key, or None for "no such charge", which the late style also says of young charges."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        young = self._clock() - entry.since < self._lookup_delay_s
        return None if entry.state == "captured" and young else entry.state

    def void(self, key: str) -> int:
        """Make sure that nothing stays charged under this key, ever; gives the cents handed back (0: nothing was)."""
        return self._give_back(key, "voided", "void")

    def refund(self, key: str) -> int | None:
        """Hand a captured charge back; gives its cents, 0 if that was done before, None where there is no charge."""
        entry = self._entries.get(key)
        if entry is None or entry.tombstone or entry.state in ("declined", "failed"):
            return None
        return self._give_back(key, "refunded", "refund")

    def _give_back(self, key: str, state: str, kind: str) -> int:
        entry = self._entries.get(key)
        if entry is not None and entry.state in ("voided", "refunded"):
            return 0
        captured = entry is not None and entry.state == "captured"
        amount_cents = entry.amount_cents if entry is not None and captured else 0
        known = entry or Entry(state, self._clock(), None, None, 0, None)
        self._ledger.append(
            {
                "t": _now(),
                "entry": kind,
                "id": f"{kind[:2]}_{_digest(key)}",
                "key": key,
                "order_id": known.order_id,
                "reference": known.reference,
                "amount_cents": amount_cents,
                "network": known.network,
            }
        )
        self._entries[key] = Entry(
            state,
            self._clock(),
            known.order_id,
            known.reference,
            known.amount_cents,
            known.network,
            tombstone=not captured,
        )
        return amount_cents

    def _write(self, kind: str, request: ChargeRequest, *, answered_failure: bool = False) -> None:
        record = {
            "t": _now(),
            "entry": kind,
            "id": charge_id(request.key),
            "key": request.key,
            "order_id": request.order_id,
            "reference": request.reference,
            "amount_cents": request.amount_cents,
            "network": request.network,
            "card": request.card,
        }
        if answered_failure:
            record["answered_failure"] = True
        self._ledger.append(record)

    def _keep(self, request: ChargeRequest, state: str, *, answered_failure: bool = False) -> None:
        self._entries[request.key] = Entry(
            state,
            self._clock(),
            request.order_id,
            request.reference,
            request.amount_cents,
            request.network,
            answered_failure=answered_failure,
        )

    def _replay(self, record: dict[str, Any]) -> None:
        kind, key = record["entry"], record["key"]
        state = {
            "charge": "captured",
            "decline": "declined",
            "failure": "failed",
            "void": "voided",
            "refund": "refunded",
        }[kind]
        if state in ("declined", "failed") and not self._replays_failures:
            return
        self._entries[key] = Entry(
            state,
            self._clock(),
            record["order_id"],
            record["reference"],
            record["amount_cents"],
            record["network"],
            tombstone=kind == "void" and record["amount_cents"] == 0,
            answered_failure=record.get("answered_failure", False),
        )


def card_print(token: str) -> str:
    """16 characters that tell one card's token from another's."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def charge_id(key: str) -> str:
    """The processor's name for the charge of a key."""
    return f"ch_{_digest(key)}"


def _digest(key: str) -> str:
    return hashlib.blake2b(key.encode(), digest_size=10).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
