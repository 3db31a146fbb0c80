"""The operations of payments.

Settings: PROCESSORS (psp-a,psp-b), ROUTES (visa=psp-a,*=psp-b), FAILOVER (safe | none | blind),
PROCESSOR_TIMEOUT_S (1), ASK_TIMEOUT_S (0.5), SETTLE_S (1.5), DB_POOL (16), MAX_IN_FLIGHT (100).
"""

from __future__ import annotations

from uuid import UUID

from stack.kit.app import Request, Response, Route, Service, json_response
from stack.kit.database import Database, DatabaseError, connect
from stack.kit.problems import Problem, bad_request, key_reused, not_found
from stack.kit.settings import env_float, env_int, env_str, identity
from stack.payments.charging import Charging
from stack.payments.processors import Processor
from stack.payments.resolver import Resolver
from stack.payments.results import Result, declare, result_of
from stack.payments.rules import Routing, parse_routing
from stack.payments.steps import Steps
from stack.payments.store import Intent, Store

_MAX_CENTS = 100_000_000


class Payments:
    """The HTTP side, and what runs behind it."""

    def __init__(self, routing: Routing, instance: str) -> None:
        declare(routing.processors)
        self._routing = routing
        self._instance = instance
        self._database: Database | None = None
        self.processors = {
            name: Processor(
                name,
                charge_timeout_s=env_float("PROCESSOR_TIMEOUT_S", 1.0),
                ask_timeout_s=env_float("ASK_TIMEOUT_S", 0.5),
            )
            for name in routing.processors
        }

    async def start(self) -> None:
        """Connect to the database and put the parts together."""
        database = self._database = await connect("payments-db", min_size=4, max_size=env_int("DB_POOL", 16))
        self._store = Store(database, self._instance)
        steps = Steps(self._store, self.processors)
        self._resolver = Resolver(steps, settle_s=env_float("SETTLE_S", 1.5))
        self._charging = Charging(steps, self._routing, self._resolver.wake)
        self._resolver.at_work_on = self._charging.at_work_on

    async def resolve(self) -> None:
        """The resolver's loop."""
        await self._resolver.run()

    async def stop(self) -> None:
        """Close what is open."""
        for processor in self.processors.values():
            await processor.close()
        if self._database is not None:
            await self._database.close()

    def routes(self) -> list[Route]:
        """All operations."""
        return [
            Route("POST", "/charges", self.charge, group="charge"),
            Route("GET", "/charges/{key}", self.show, group="ask"),
            Route("GET", "/health", self.health, group="ask"),
            Route("POST", "/charges/{key}/cancel", self.cancel, group="ask"),
            Route("POST", "/refunds", self.refund, group="ask"),
        ]

    async def charge(self, request: Request) -> Response:
        """Charge an order once; the same key joins or repeats the answer, and goes on where nothing was charged."""
        result = await self._charging.charge(_intent(request))
        if result.state == "captured":
            document = {"charge_id": result.charge_id, "processor": result.processor, "state": "captured"}
            return json_response(document, 201)
        raise _problem(result)

    async def show(self, request: Request) -> Response:
        """What is known of a charge; `unknown` while a processor has to be asked."""
        charge = await self._read(request.params["key"])
        if charge is None:
            raise not_found("there is no charge with this key")
        return json_response(_document(request.params["key"], charge))

    def health(self, _request: Request) -> Response:
        """Whether cards can be charged, as the processors and the database have been lately."""
        healthy = [name for name, processor in self.processors.items() if processor.healthy]
        reachable = self._database is not None and self._database.is_reachable
        state = self._routing.state(healthy) if reachable else "down"
        return json_response({"state": state, "processors": healthy, "database": reachable})

    async def cancel(self, request: Request) -> Response:
        """Make sure that nothing is or stays charged, even by a request that is still on its way."""
        return await self._cancel(request.params["key"], request)

    async def refund(self, request: Request) -> Response:
        """Hand a captured charge back: {"key", "order_id"}."""
        key = request.json_object().get("key")
        if not isinstance(key, str) or not key:
            raise bad_request("key must be the key of a charge")
        return await self._cancel(key, request)

    async def _cancel(self, key: str, request: Request) -> Response:
        order_id = _uuid(request.json_object().get("order_id"))
        try:
            result = await self._resolver.cancel(key, order_id)
        except DatabaseError as error:
            raise _unavailable() from error
        if result.state == "unknown":
            raise _problem(result)
        return json_response(_document(key, result))

    async def _read(self, key: str) -> Result | None:
        try:
            charge = await self._store.read(key)
        except DatabaseError as error:
            raise _unavailable() from error
        return None if charge is None else result_of(charge)


def _document(key: str, result: Result) -> dict[str, str]:
    return {"key": key, "state": result.state, "processor": result.processor, "charge_id": result.charge_id}


def _intent(request: Request) -> Intent:
    key = request.idempotency_key()
    body = request.json_object()
    amount_cents, card = body.get("amount_cents"), body.get("card")
    if isinstance(amount_cents, bool) or not isinstance(amount_cents, int) or not 0 < amount_cents <= _MAX_CENTS:
        raise bad_request(f"amount_cents must be a whole number from 1 to {_MAX_CENTS}")
    network = card.get("network") if isinstance(card, dict) else None
    token = card.get("token") if isinstance(card, dict) else None
    if not isinstance(network, str) or not isinstance(token, str) or not network or not token:
        raise bad_request("card must be an object with the texts network and token")
    return Intent(key, _uuid(body.get("order_id")), amount_cents, network, token, request.reference)


def _uuid(value: object) -> UUID:
    try:
        return UUID(str(value))
    except ValueError as error:
        raise bad_request("order_id must be a UUID") from error


def _unavailable() -> Problem:
    return Problem(
        503,
        "payment-unavailable",
        "Payments are not available just now",
        "This request charged nothing.",
        safe_to_retry=True,
        retry_after_s=1.0,
    )


def _problem(result: Result) -> Problem:
    if result.state == "declined":
        return Problem(402, "declined", "The card was declined", "Nothing was charged.", safe_to_retry=False)
    if result.state == "mismatch":
        return key_reused()
    if result.state in ("cancelled", "refunded"):
        return Problem(
            409,
            "charge-cancelled",
            "This charge was cancelled",
            "Nothing is charged under this key, and nothing will be.",
            safe_to_retry=False,
        )
    if result.state == "unknown":
        return Problem(
            504,
            "payment-unknown",
            "It is not known yet whether the card was charged",
            "The processor has not answered; it is being asked. Ask again with the same key.",
            safe_to_retry=True,
            retry_after_s=1.0,
        )
    return _unavailable()


def build() -> Service:
    """The service from its environment."""
    me = identity()
    routing = parse_routing(
        env_str("PROCESSORS", "psp-a,psp-b"), env_str("ROUTES", "visa=psp-a,*=psp-b"), env_str("FAILOVER", "safe")
    )
    payments = Payments(routing, me.instance)
    return Service(
        me.name,
        payments.routes(),
        startup=[payments.start],
        shutdown=[payments.stop],
        background=[payments.resolve, *(processor.watch for processor in payments.processors.values())],
        max_in_flight={"charge": env_int("MAX_IN_FLIGHT", 100), "ask": 200},
    )
