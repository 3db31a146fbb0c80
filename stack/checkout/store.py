"""The orders in orders-db: each step is one statement, messages included, and each change a compare-and-set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any
from uuid import UUID

import orjson

from stack.checkout.bad_news import bad_news
from stack.checkout.counters import Unfinished
from stack.checkout.orders import NewOrder, Order
from stack.checkout.rules import Parking
from stack.kit.database import Database

CONFIRMATION, CANCELLATION = "order-confirmation", "order-cancelled"
MAIL, CONFIRM, RELEASE = "mail", "confirm", "release"

_PLACE = """
insert into orders (order_id, idempotency_key, fingerprint, reference, state, total_cents, card_network, cohort, email,
                    lines, worker, lease_until, due_at)
values ($1, $2, $3, $4, 'placed', $5, $6, $7, $8, $9::jsonb, $10, now() + make_interval(secs => $11),
        now() + make_interval(secs => $11))
on conflict do nothing
returning 1
"""

# One that is refused before anything else was done for it: stored, and over.
_PLACE_REFUSED = """
insert into orders (order_id, idempotency_key, fingerprint, reference, state, may_be_charged, total_cents, card_network,
                    cohort, email, lines, problem, finished_at)
values ($1, $2, $3, $4, 'rejected_sold_out', false, $5, $6, $7, $8, $9::jsonb, $10::jsonb, now())
on conflict do nothing
returning 1
"""

# Whoever asks with the same key may go on where a worker stopped, but not beside one that is still at it. What comes
# back says what was known before: from now on the order may be charged again.
_TAKE = """
with before as (
    select order_id as id, may_be_charged as might from orders where idempotency_key = $1 for update
), taken as (
    update orders
    set epoch = epoch + 1, attempt = attempt + 1, may_be_charged = true, worker = $3,
        lease_until = now() + make_interval(secs => $4), due_at = now() + make_interval(secs => $4), updated_at = now()
    from before
    where order_id = id and fingerprint = $2 and state in ('placed', 'held', 'payment_unknown')
      and (worker = $3 or lease_until is null or lease_until < now())
    returning orders.*, might
)
select true as mine, might, 0::float8 as idle_s, order_id, idempotency_key, fingerprint, reference, state, attempt,
       epoch, total_cents, problem
from taken
union all
select false, may_be_charged, 0, order_id, idempotency_key, fingerprint, reference, state, attempt, epoch, total_cents,
       problem
from orders where idempotency_key = $1 and not exists (select from taken)
"""

_ACCEPT = """
with done as (
    update orders
    set state = 'accepted', accepted_at = now(), finished_at = now(), updated_at = now(), may_be_charged = true,
        lease_until = null, due_at = null
    where order_id = $1 and state in ('placed', 'held', 'payment_unknown')
    returning order_id, reference, email
)
insert into outbox (topic, key, payload)
select 'mail', order_id::text, jsonb_build_object(
           'to', email, 'template', 'order-confirmation', 'order_id', order_id, 'reference', reference) from done
union all
select 'confirm', order_id::text, '{}'::jsonb from done
returning id
"""

# With `epoch` the change is for whoever took the order last; without (null) for whoever knows the truth. With `news`
# ($5) the shopper is written to.
_REFUSE = """
with done as (
    update orders
    set state = $2, problem = $3::jsonb, finished_at = now(), updated_at = now(), lease_until = null, due_at = null
    where order_id = $1 and state in ('placed', 'held', 'payment_unknown') and ($4::int is null or epoch = $4)
    returning order_id, reference, email
)
insert into outbox (topic, key, payload)
select 'release', order_id::text, '{}'::jsonb from done
union all
select 'mail', order_id::text || ':failed', jsonb_build_object(
           'to', email, 'template', 'order-failed', 'order_id', order_id, 'reference', reference) || $5::text::jsonb
from done where $5::text is not null
returning id
"""

_PARK = """
update orders
set state = $3, may_be_charged = $4, lease_until = now(), due_at = now() + make_interval(secs => $5), updated_at = now()
where order_id = $1 and epoch = $2 and state in ('placed', 'held', 'payment_unknown')
returning 1
"""

_GIVE_UP = """
update orders set state = 'cancelling', due_at = now(), lease_until = null
where order_id = $1 and state in ('placed', 'held', 'payment_unknown') and epoch = $2
returning 1
"""

# Accepted, but its stock is gone for good: the money goes back.
_GONE = """
update orders set state = 'cancelling', problem = '{"gone": true}', finished_at = null, due_at = now(),
                  updated_at = now(), epoch = epoch + 1
where order_id = any($1::uuid[]) and state = 'accepted'
returning reference
"""

_CANCELLED = """
with done as (
    update orders set state = $2, finished_at = now(), updated_at = now(), lease_until = null, due_at = null
    where order_id = $1 and state = 'cancelling'
    returning order_id, reference, email, accepted_at
)
insert into outbox (topic, key, payload)
select 'release', order_id::text, '{}'::jsonb from done
union all
select 'mail', order_id::text || ':cancelled', jsonb_build_object(
           'to', email, 'template', 'order-cancelled', 'order_id', order_id, 'reference', reference)
from done where accepted_at is not null
union all
select 'mail', order_id::text || ':failed', jsonb_build_object(
           'to', email, 'template', 'order-failed', 'order_id', order_id, 'reference', reference) || $3::text::jsonb
from done where accepted_at is null
returning id
"""

# Orders that never came this far, as the storefront remembers them: each becomes one that has failed, so that a
# straggler under its key is refused from now on, and its shopper is written to. One that is here already has an end of
# its own.
_CLOSE_UNPLACED = """
with asked as (
    select * from jsonb_to_recordset($1::text::jsonb) as t (
        order_id uuid, key text, reference text, total_cents bigint, network text, cohort text, email text, why text,
        news jsonb)
), done as (
    insert into orders (order_id, idempotency_key, fingerprint, reference, state, may_be_charged, total_cents,
                        card_network, cohort, email, lines, problem, finished_at)
    select order_id, key, '', reference, 'failed', false, total_cents, network, cohort, email, '[]'::jsonb,
           jsonb_build_object('unplaced', why), now()
    from asked order by key
    on conflict do nothing
    returning order_id, reference, email
)
insert into outbox (topic, key, payload)
select 'mail', done.order_id::text || ':failed', jsonb_build_object(
           'to', done.email, 'template', 'order-failed', 'order_id', done.order_id, 'reference', done.reference) || news
from done join asked using (order_id)
returning id
"""

_CLAIM = """
with due as (
    select order_id as id from orders where due_at < now() order by due_at limit $3 for update skip locked
)
update orders
set epoch = epoch + 1, worker = $1, lease_until = now() + make_interval(secs => $2),
    due_at = now() + make_interval(secs => $2)
from due where order_id = id
returning orders.*, may_be_charged as might, extract(epoch from now() - updated_at)::float8 as idle_s
"""

_RECLAIM = """
update orders set lease_until = now(), due_at = now()
where worker = $1 and due_at > now() and updated_at < now() - make_interval(secs => $2)
"""

_READ = """
select may_be_charged as might, 0::float8 as idle_s, order_id, idempotency_key, fingerprint, reference, state, attempt,
       epoch, total_cents, problem
from orders where order_id = $1
"""

_UNFINISHED = """
select state, count(*) as orders, extract(epoch from now() - min(created_at))::float8 as oldest_s
from orders where due_at is not null group by state
"""


class Store:
    """The statements. Every method may raise DatabaseUnavailable (not done) or DatabaseOutcomeUnknown (may be done)."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._worker = worker
        self._since = monotonic()

    async def place(self, order: NewOrder, lease_s: float) -> bool:
        """Store a new order; False when its key is there already."""
        fresh = await self._database.fetchval(_PLACE, *_row(order), self._worker, lease_s)
        return fresh is not None

    async def place_refused(self, order: NewOrder, problem: dict[str, Any]) -> bool:
        """Store a new order that is sold out already; False when its key is there already."""
        fresh = await self._database.fetchval(_PLACE_REFUSED, *_row(order), orjson.dumps(problem).decode())
        return fresh is not None

    async def take(self, key: str, fingerprint: str, lease_s: float) -> tuple[bool, Order] | None:
        """Go on with an unfinished order that nobody works on: (whether it is ours now, the order as it was)."""
        row = await self._database.fetchrow(_TAKE, key, fingerprint, self._worker, lease_s)
        return None if row is None else (row["mine"], _order(row))

    async def accept(self, order_id: UUID) -> bool:
        """The order is paid and accepted, its confirmation and its stock's on their way; False when it has moved."""
        return await self._database.fetchval(_ACCEPT, order_id) is not None

    async def refuse(
        self, order_id: UUID, state: str, problem: dict[str, Any], epoch: int | None = None, *, tell: bool
    ) -> bool:
        """The order ends without a charge, its stock is let go; False when it has moved. `tell`: by mail."""
        document, news = orjson.dumps(problem).decode(), bad_news(state) if tell else None
        return await self._database.fetchval(_REFUSE, order_id, state, document, epoch, news) is not None

    async def close_unplaced(self, orders: Sequence[Mapping[str, Any]]) -> int:
        """Close orders that failed before they came here, and write to their shoppers; gives how many were closed."""
        asked = [{**order, "news": orjson.Fragment(bad_news(order["why"]))} for order in orders]
        rows = await self._database.fetch(_CLOSE_UNPLACED, orjson.dumps(asked).decode(), idempotent=True)
        return len(rows)

    async def park(self, order_id: UUID, epoch: int, parking: Parking, due_in_s: float) -> bool:
        """Leave the order to the shopper's next try, and to the finisher in `due_in_s`."""
        row = await self._database.fetchval(
            _PARK, order_id, epoch, parking.state, parking.may_be_charged, due_in_s, idempotent=True
        )
        return row is not None

    async def give_up(self, order_id: UUID, epoch: int) -> bool:
        """Decide that the order will not be accepted; False when it has moved."""
        return await self._database.fetchval(_GIVE_UP, order_id, epoch) is not None

    async def gone(self, order_ids: Sequence[UUID]) -> list[str]:
        """Accepted orders whose stock is gone are given up after all; gives their references."""
        return [row["reference"] for row in await self._database.fetch(_GONE, order_ids, idempotent=True)]

    async def cancelled(self, order_id: UUID, state: str) -> bool:
        """An order that was given up has come to its end: nothing is charged. False when it has moved."""
        return await self._database.fetchval(_CANCELLED, order_id, state, bad_news(state)) is not None

    async def claim(self, lease_s: float, at_most: int) -> list[Order]:
        """Orders that are due, taken for `lease_s` seconds, after which they are due again."""
        return [_order(row) for row in await self._database.fetch(_CLAIM, self._worker, lease_s, at_most)]

    async def reclaim(self) -> None:
        """What a former process of this name left unfinished is due now."""
        await self._database.execute(_RECLAIM, self._worker, monotonic() - self._since)

    async def read(self, order_id: UUID) -> Order | None:
        """The order of an id."""
        row = await self._database.fetchrow(_READ, order_id, idempotent=True)
        return None if row is None else _order(row)

    async def unfinished(self) -> list[Unfinished]:
        """The orders that have not come to their end, by state; a state without any is left out."""
        return [Unfinished(*row) for row in await self._database.fetch(_UNFINISHED)]


def _order(row: Any) -> Order:
    return Order(
        order_id=row["order_id"],
        key=row["idempotency_key"],
        fingerprint=row["fingerprint"],
        reference=row["reference"],
        state=row["state"],
        attempt=row["attempt"],
        epoch=row["epoch"],
        may_be_charged=row["might"],
        total_cents=row["total_cents"],
        problem=orjson.loads(row["problem"]) if row["problem"] else {},
        idle_s=row["idle_s"],
    )


def _row(order: NewOrder) -> tuple[Any, ...]:
    """$1 to $9 of the statements that store a new order."""
    return (
        order.order_id,
        order.key,
        order.fingerprint,
        order.reference,
        order.total_cents,
        order.network,
        order.cohort,
        order.email,
        order.lines,
    )
