"""The operations of checkout.

Settings: HOLD_TIMEOUT_S (1), HOLD_TTL_S (300), PAYMENT_TIMEOUT_S (3.5), CHARGE_LEAST_S (1.5), RESUME_S (4),
LINGER_S (0.15), DB_POOL (20), MAX_IN_FLIGHT (120).
"""

from __future__ import annotations

import asyncio
from uuid import UUID

from stack.checkout import answers
from stack.checkout.counters import ended
from stack.checkout.deliveries import Deliveries
from stack.checkout.finisher import Finisher
from stack.checkout.orders import parse, parse_unplaced
from stack.checkout.partners import Inventory, Mail, Payments
from stack.checkout.saga import Parts, Saga
from stack.checkout.store import CONFIRM, MAIL, RELEASE, Store
from stack.kit import context
from stack.kit.app import Request, Response, Route, Service, json_response
from stack.kit.database import Database, DatabaseError, connect
from stack.kit.log import log
from stack.kit.outbox import OutboxRelay
from stack.kit.settings import env_float, env_int, identity


class Checkout:
    """The HTTP side, and what runs behind it."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._database: Database | None = None
        self._inventory = Inventory(timeout_s=env_float("HOLD_TIMEOUT_S", 1.0), ttl_s=env_float("HOLD_TTL_S", 300.0))
        self._payments = Payments(timeout_s=env_float("PAYMENT_TIMEOUT_S", 3.5))
        self._mail = Mail()
        self._wake_finisher = asyncio.Event()

    def routes(self) -> list[Route]:
        """All operations."""
        return [
            Route("POST", "/orders", self.place, group="order"),
            Route("GET", "/orders/{order_id}", self.show, group="ask"),
            Route("GET", "/health/payments", self.payments_health, group="ask"),
            Route("POST", "/orders/unplaced", self.close_unplaced, group="ask"),
        ]

    async def start(self) -> None:
        """Connect to the database and put the parts together."""
        database = self._database = await connect("orders-db", min_size=4, max_size=env_int("DB_POOL", 20))
        self._store = Store(database, self._instance)
        deliveries = Deliveries(self._store, self._inventory, self._mail, self._wake_finisher.set)
        linger_s = env_float("LINGER_S", 0.15)
        self._mails = OutboxRelay(database, deliveries.mails, topics=[MAIL], poll_s=1.0, linger_s=linger_s)
        self._stock = OutboxRelay(database, deliveries.stock, topics=[CONFIRM, RELEASE], poll_s=1.0, linger_s=linger_s)
        parts = Parts(
            store=self._store,
            inventory=self._inventory,
            payments=self._payments,
            resume_s=env_float("RESUME_S", 4.0),
            charge_least_s=env_float("CHARGE_LEAST_S", 1.5),
            wake_finisher=self._wake_finisher.set,
            wake_mails=self._mails.notify,
            wake_stock=self._stock.notify,
        )
        self._saga = Saga(parts)
        self._finisher = Finisher(parts, self._saga.at_work_on)

    async def deliver_mails(self) -> None:
        """The mails' loop."""
        await self._mails.run()

    async def deliver_stock(self) -> None:
        """The loop of confirmations and releases."""
        await self._stock.run()

    async def finish(self) -> None:
        """The finisher's loop."""
        await self._finisher.run(self._wake_finisher)

    async def stop(self) -> None:
        """Close what is open."""
        await self._inventory.close()
        await self._payments.close()
        await self._mail.close()
        if self._database is not None:
            await self._database.close()

    async def place(self, request: Request) -> Response:
        """Place an order, once per key."""
        order = parse(request.idempotency_key(), request.json_object(), context.cohort())
        request.work.reference = order.reference
        ending = await self._saga.place(order)
        if ending.state == "accepted":
            return answers.accepted(str(order.order_id), order.reference, order.total_cents)
        if ending.state:
            raise answers.refusal(ending.state, ending.problem or {})
        raise answers.told(ending.told, order.key, ending.problem)

    async def show(self, request: Request) -> Response:
        """An order and its state."""
        try:
            order_id = UUID(request.params["order_id"])
        except ValueError:
            raise answers.told("not-found", "") from None
        try:
            order = await self._store.read(order_id)
        except DatabaseError as error:
            raise answers.told("checkout-unavailable", "") from error
        if order is None:
            raise answers.told("not-found", "")
        return answers.shown(order)

    async def payments_health(self, _request: Request) -> Response:
        """Whether cards can be charged, as payments says, and as it can be reached from here."""
        return json_response({"state": await self._payments.health()})

    async def close_unplaced(self, request: Request) -> Response:
        """Orders that failed on their way here are closed for good, and their shoppers are written to."""
        orders = parse_unplaced(request.json_object())
        try:
            closed = await self._store.close_unplaced(orders)
        except DatabaseError as error:
            raise answers.told("checkout-unavailable", "") from error
        for _ in range(closed):
            ended("failed")
        log("orders-unplaced", asked=len(orders), closed=closed)
        self._mails.notify()
        return json_response({"closed": closed})


def build() -> Service:
    """The service from its environment."""
    me = identity()
    checkout = Checkout(me.instance)
    return Service(
        me.name,
        checkout.routes(),
        startup=[checkout.start],
        shutdown=[checkout.stop],
        background=[checkout.deliver_mails, checkout.deliver_stock, checkout.finish],
        max_in_flight={"order": env_int("MAX_IN_FLIGHT", 120), "ask": 200},
    )
