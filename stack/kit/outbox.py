"""The outbox: messages written in the transaction that makes them true, delivered afterwards, at least once.

A service with an outbox has this table (`DDL`) in its schema and inserts into it in the statement that changes its
state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from prometheus_client import Gauge

from stack.kit import context
from stack.kit.database import Database, DatabaseError
from stack.kit.log import log
from stack.kit.metrics import REGISTRY

DDL = """
CREATE TABLE outbox (
    id bigserial PRIMARY KEY,
    topic text NOT NULL,
    key text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz,
    delivered_at timestamptz
);
CREATE INDEX outbox_undelivered ON outbox (topic, id) WHERE delivered_at IS NULL;
"""

_CLAIM = """
UPDATE outbox SET leased_until = now() + $3 * interval '1 second'
WHERE id IN (
    SELECT id FROM outbox
    WHERE delivered_at IS NULL AND topic = ANY($1) AND (leased_until IS NULL OR leased_until < now())
    ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING id, topic, key, payload
"""
_DELIVERED = "UPDATE outbox SET delivered_at = now() WHERE id = ANY($1)"
_FREE = "UPDATE outbox SET leased_until = NULL WHERE id = ANY($1) AND delivered_at IS NULL"
_PENDING = "SELECT count(*) FROM outbox WHERE delivered_at IS NULL AND topic = ANY($1)"

_pending = Gauge("outbox_pending", "Messages not delivered yet, as last counted", ["topic"], registry=REGISTRY)


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `key` is what the receiver dedupes by; `payload` is the decoded JSON."""

    id: int
    topic: str
    key: str
    payload: Any


Deliver = Callable[[Sequence[Message]], Awaitable[set[int]]]


class OutboxRelay:
    """Delivers what lies in the outbox, for ever.

    run `relay.run` as a background loop, call `relay.notify()` after a
    commit.

    `deliver` gets up to `batch` messages in order of their ids and gives back the ids that the receiver has taken;
    the others are tried again with growing pauses (at most `backoff_max_s`). It should map its link errors to an
    empty set. A batch is leased for `lease_s`, so several relays may run and one that was killed is taken over soon.
    Use one relay for each receiver (`topics`), so that one receiver's outage holds up no other.
    """

    def __init__(
        self,
        database: Database,
        deliver: Deliver,
        *,
        topics: Sequence[str],
        batch: int = 50,
        poll_s: float = 0.5,
        linger_s: float = 0.05,
        lease_s: float = 3.0,
        backoff_max_s: float = 1.0,
    ) -> None:
        self._database = database
        self._deliver = deliver
        self._topics = list(topics)
        self._batch = batch
        self._poll_s = poll_s
        self._linger_s = linger_s
        self._lease_s = lease_s
        self._backoff_max_s = backoff_max_s
        self._wake = asyncio.Event()
        self._gauge = _pending.labels("+".join(self._topics))

    def notify(self) -> None:
        """There is a new message: deliver soon (`linger_s` later, so that a burst goes as one batch)."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver for ever."""
        backoff_s = 0.0
        while True:
            done, more = await self._once()
            if not done:
                backoff_s = min(self._backoff_max_s, max(0.1, backoff_s * 2))
                await asyncio.sleep(backoff_s)
                continue
            backoff_s = 0.0
            if not more:
                await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._poll_s):
                await self._wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(self._linger_s)

    async def _once(self) -> tuple[bool, bool]:
        """Claim and deliver one batch: whether all of it went well, whether there may be more."""
        self._wake.clear()
        with context.bound(deadline_s=self._lease_s):
            try:
                rows = await self._database.fetch(_CLAIM, self._topics, self._batch, self._lease_s)
                messages = [Message(row["id"], row["topic"], row["key"], orjson.loads(row["payload"])) for row in rows]
                messages.sort(key=lambda message: message.id)
                taken = await self._deliver(messages) if messages else set()
                if taken:
                    await self._database.execute(_DELIVERED, list(taken), idempotent=True)
                left = [message.id for message in messages if message.id not in taken]
                if left:
                    await self._database.execute(_FREE, left, idempotent=True)
            except DatabaseError as error:
                log("outbox-stalled", level="error", topics=self._topics, error=str(error))
                return False, True
        full = len(messages) == self._batch
        if left:
            log("outbox-undelivered", level="error", topics=self._topics, messages=len(left))
        self._gauge.set(len(left) if not full else len(messages))
        return not left, full

    async def count_pending(self) -> int:
        """How many messages wait; also sets the gauge."""
        count: int = await self._database.fetchval(_PENDING, self._topics)
        self._gauge.set(count)
        return count
