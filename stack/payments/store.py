"""The charges in payments-db: each step is one statement, and each change a compare-and-set on (key, n, state)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from time import monotonic
from typing import Any
from uuid import UUID

from stack.kit.database import Database

_OPEN = """
with fresh as (
    insert into charges (key, order_id, amount_cents, network, reference, fingerprint, state, n, processor,
                         provider_key, sent_at, worker, lease_until, due_at)
    values ($1, $2, $3, $4, $5, $6, 'pending', 1, $7, $8, now(), $9, now() + make_interval(secs => $10),
            now() + make_interval(secs => $10))
    on conflict (key) do nothing
    returning key
), attempt as (
    insert into attempts (key, n, processor, provider_key, state) select key, 1, $7, $8, 'sent' from fresh
)
select count(*) from fresh
"""

# Whoever asks with the same key may go on where a worker stopped, but not beside one that is still at it.
_TAKE = """
with taken as (
    update charges
    set worker = $3, lease_until = now() + make_interval(secs => $4), due_at = now() + make_interval(secs => $4),
        updated_at = now()
    where key = $1 and fingerprint = $2 and state in ('pending', 'voiding', 'not_charged') and not cancel_requested
      and (worker = $3 or lease_until is null or lease_until < now())
    returning *
)
select true as mine, 0::float8 as age_s, * from taken
union all
select false, 0, * from charges where key = $1 and not exists (select from taken)
"""

_NEXT = """
with moved as (
    update charges
    set state = 'pending', n = n + 1, processor = $5, provider_key = $6, sent_at = now(), updated_at = now(),
        due_at = lease_until
    where key = $1 and n = $2 and state = $3 and not cancel_requested
    returning key, n
), closed as (
    update attempts set state = $4, updated_at = now() from moved
    where attempts.key = moved.key and attempts.n = $2 and $4 <> ''
)
insert into attempts (key, n, processor, provider_key, state) select key, n, $5, $6, 'sent' from moved
returning n
"""

_VOIDING = """
update charges set state = 'voiding', updated_at = now() where key = $1 and n = $2 and state = 'pending' returning n
"""

_SETTLE = """
with settled as (
    update charges
    set state = case when $5 = 'not_charged' and cancel_requested then 'cancelled' else $5 end, charge_id = $6,
        lease_until = null, due_at = null, updated_at = now()
    where key = $1 and n = $2 and state = $3
    returning key, state
), closed as (
    update attempts set state = $4, updated_at = now() from settled
    where attempts.key = settled.key and attempts.n = $2 and $4 <> ''
)
select state from settled
"""

_LEAVE = """
update charges set lease_until = now(), due_at = now() + make_interval(secs => $3), updated_at = now()
where key = $1 and worker = $2 and due_at is not null
"""

# A key that was never heard of is cancelled too: a request that still travels must find it so.
_CANCEL = """
insert into charges (key, order_id, state, cancel_requested) values ($1, $2, 'cancelled', true)
on conflict (key) do update
set cancel_requested = true, updated_at = now(),
    state = case charges.state when 'pending' then 'voiding' when 'not_charged' then 'cancelled'
                               when 'captured' then 'refunding' else charges.state end,
    due_at = case when charges.state in ('pending', 'voiding', 'captured', 'refunding')
                  then now() + make_interval(secs => $3) end
returning *, 0::float8 as age_s
"""

_READ = "select *, 0::float8 as age_s from charges where key = $1"

_CLAIM = """
with due as (
    select key as due_key from charges where due_at < now() order by due_at limit $3 for update skip locked
)
update charges
set worker = $1, lease_until = now() + make_interval(secs => $2), due_at = now() + make_interval(secs => $2)
from due where key = due_key
returning charges.*, extract(epoch from now() - sent_at)::float8 as age_s
"""

_RECLAIM = """
update charges set due_at = now(), lease_until = now()
where worker = $1 and due_at > now() and updated_at < now() - make_interval(secs => $2)
"""


@dataclass(frozen=True, slots=True)
class Intent:
    """What is to be charged, once, under a key. The card's token travels with it and is stored nowhere."""

    key: str
    order_id: UUID
    amount_cents: int
    network: str
    token: str
    reference: str

    @property
    def fingerprint(self) -> str:
        """Tells whether another request with this key asks for the same thing."""
        text = f"{self.order_id}/{self.amount_cents}/{self.network}/{self.token}"
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge as stored; `age_s` is how long ago its present attempt was sent (0 where that was not asked)."""

    key: str
    order_id: UUID
    amount_cents: int
    network: str
    reference: str
    fingerprint: str
    state: str
    cancel_requested: bool
    n: int
    processor: str
    provider_key: str
    charge_id: str = ""
    age_s: float = 0.0


def provider_key(key: str, n: int, processor: str) -> str:
    """The key of one attempt at one processor: keys belong to one provider, and a new attempt is a new request."""
    return f"{key}.{n}.{processor}"


class Store:
    """The statements. Every method may raise DatabaseUnavailable (not done) or DatabaseOutcomeUnknown (may be done)."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._worker = worker
        self._since = monotonic()

    async def open(self, intent: Intent, processor: str, fingerprint: str, lease_s: float) -> Charge | None:
        """Store the intent and its first attempt; None when the key is there already."""
        first_key = provider_key(intent.key, 1, processor)
        fresh = await self._database.fetchval(
            _OPEN,
            intent.key,
            intent.order_id,
            intent.amount_cents,
            intent.network,
            intent.reference,
            fingerprint,
            processor,
            first_key,
            self._worker,
            lease_s,
        )
        if not fresh:
            return None
        return Charge(
            intent.key,
            intent.order_id,
            intent.amount_cents,
            intent.network,
            intent.reference,
            fingerprint,
            "pending",
            False,
            1,
            processor,
            first_key,
        )

    async def take(self, key: str, fingerprint: str, lease_s: float) -> tuple[bool, Charge] | None:
        """Go on with an unfinished charge that nobody works on: (whether it is ours now, the charge)."""
        row = await self._database.fetchrow(_TAKE, key, fingerprint, self._worker, lease_s)
        return None if row is None else (row["mine"], _charge(row))

    async def next(self, charge: Charge, closed_as: str, processor: str) -> int | None:
        """Close the present attempt as charging nothing ("" leaves it as it is) and open one at another processor.

        Gives the new attempt's number, None when the charge has moved meanwhile.
        """
        following = provider_key(charge.key, charge.n + 1, processor)
        number: int | None = await self._database.fetchval(
            _NEXT, charge.key, charge.n, charge.state, closed_as, processor, following
        )
        return number

    async def voiding(self, charge: Charge) -> bool:
        """Decide to void the present attempt: from now on nobody takes it as captured. False when it has moved."""
        return await self._database.fetchval(_VOIDING, charge.key, charge.n) is not None

    async def settle(self, charge: Charge, closed_as: str, state: str, charge_id: str | None = None) -> str | None:
        """End the present attempt and with it the charge; gives its state, None when it has moved meanwhile.

        `not_charged` becomes `cancelled` where that was asked for.
        """
        settled: str | None = await self._database.fetchval(
            _SETTLE, charge.key, charge.n, charge.state, closed_as, state, charge_id
        )
        return settled

    async def leave(self, key: str, due_in_s: float) -> None:
        """Leave a charge in doubt to the resolver, or to whoever asks with its key."""
        await self._database.execute(_LEAVE, key, self._worker, due_in_s)

    async def cancel(self, key: str, order_id: UUID, due_in_s: float) -> Charge:
        """Ask that nothing stays charged under this key, whatever is on its way."""
        row = await self._database.fetchrow(_CANCEL, key, order_id, due_in_s)
        assert row is not None
        return _charge(row)

    async def read(self, key: str) -> Charge | None:
        """The charge of a key."""
        row = await self._database.fetchrow(_READ, key)
        return None if row is None else _charge(row)

    async def claim(self, lease_s: float, at_most: int) -> list[Charge]:
        """Charges that are due, taken for `lease_s` seconds, after which they are due again."""
        return [_charge(row) for row in await self._database.fetch(_CLAIM, self._worker, lease_s, at_most)]

    async def reclaim(self) -> None:
        """What a former process of this name left unfinished is due now."""
        await self._database.execute(_RECLAIM, self._worker, monotonic() - self._since)


def _charge(row: Any) -> Charge:
    return Charge(
        row["key"],
        row["order_id"],
        row["amount_cents"],
        row["network"],
        row["reference"],
        row["fingerprint"],
        row["state"],
        row["cancel_requested"],
        row["n"],
        row["processor"] or "",
        row["provider_key"] or "",
        row["charge_id"] or "",
        row["age_s"],
    )
