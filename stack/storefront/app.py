"""The shop's front: which paths there are, and what is behind them."""

from __future__ import annotations

import asyncio

from stack.kit import context, metrics
from stack.kit.app import Request, Response, Route, Service, json_response
from stack.kit.breaker import Breaker
from stack.kit.client import Client, LinkError
from stack.kit.http import HTML
from stack.kit.settings import env_float, env_int, env_str, identity
from stack.storefront.alerts import Alerts, Counts
from stack.storefront.browsing import Browsing
from stack.storefront.carting import Carting
from stack.storefront.ordering import Ordering
from stack.storefront.switch import OrderingSwitch
from stack.storefront.truth import Pulse, Truth, home_page

PROBE_S = 1.0
SLOW_S, SLOW_OBJECTIVE = 0.5, 0.95
"""The objective on checkout's latency: 95 % within half a second."""
_NOBODY = "00000000-0000-0000-0000-000000000000"


class Storefront:
    """The parts, put together."""

    def __init__(self) -> None:
        me = identity()
        self.inventory = Client("inventory", timeout_s=env_float("INVENTORY_TIMEOUT_S", 1.0), pool=4)
        self.cart = Client(
            "cart", timeout_s=env_float("CART_TIMEOUT_S", 1.5), retries=1, breaker=Breaker(open_s=0.5), pool=64
        )
        self.checkout = Client(
            "checkout",
            timeout_s=env_float("CHECKOUT_TIMEOUT_S", 10.0),
            retries=1,
            breaker=Breaker(open_s=0.5),
            pool=160,
        )
        self.browsing = Browsing(self.inventory, me.data_dir / "catalogue.json")
        self.truth = Truth(lambda: self.browsing.is_stale)
        self.switch = OrderingSwitch(me.data_dir / "ordering.json", env_str("ADMIN_TOKEN", "-").lstrip("-"))
        self.carting = Carting(self.cart, self.browsing.price_cents, self.truth)
        self.ordering = Ordering(
            self.cart,
            self.checkout,
            self.switch,
            self.truth,
            self.browsing.business_line,
            me.data_dir / "unplaced.jsonl",
        )
        self.alerts = Alerts(self._counts)
        self._since: object = None
        self._home_told: tuple[object, ...] = ()
        self._home = Response()

    # ---- the pages that are about the shop itself

    def home(self, _request: Request) -> Response:
        """GET /: the page that most shoppers open first, so it is made anew only when what it says has changed."""
        told = (self.switch.open, self.switch.banner, self._since, self.browsing.products)
        if told != self._home_told:
            self._home_told = told
            self._home = Response(home_page(self._document(), self.browsing.products), content_type=HTML)
        return self._home

    def status(self, _request: Request) -> Response:
        """GET /status."""
        return json_response(self._document(), headers={"cache-control": "no-store"})

    def switch_ordering(self, request: Request) -> Response:
        """POST /admin/ordering."""
        self.switch.set_by(request)
        return json_response({"open": self.switch.open, "banner": self.switch.banner})

    def _document(self) -> dict[str, object]:
        document = self.truth.document(ordering_open=self.switch.open, banner=self.switch.banner)
        self._since = document["since"]
        return document

    # ---- what shoppers do not see

    async def probe(self) -> None:
        """Where no shopper has called for a while, call ourselves, so that the status page knows."""
        while True:
            await asyncio.sleep(PROBE_S)
            if self.truth.cart.silent_s() > PROBE_S:
                await self._probe(self.cart, "/carts/status-probe", self.truth.cart)
            if self.truth.checkout.silent_s() > PROBE_S:
                await self._probe(self.checkout, f"/orders/{_NOBODY}", self.truth.checkout)
            self.truth.payments_say(await self._payments_health())
            self._document()

    async def _payments_health(self) -> str | None:
        try:
            with context.bound(deadline_s=1.0):
                reply = await self.checkout.call("GET", "/health/payments")
        except LinkError:
            return None
        return str(reply.json()["state"]) if reply.status == 200 else None

    def _counts(self) -> dict[str, Counts]:
        """What the alerts look at: answers at the door, and orders of each business line."""
        order = metrics.request_metrics("place_order")
        counts = {
            "purchases-failing": _failing("place_order"),
            "purchases-slow": Counts(sum(order.by_class), order.slower_than(SLOW_S), SLOW_OBJECTIVE),
            "carts-failing": _failing("add_to_cart"),
            "browse-failing": _failing("home", "product", "search"),
        }
        lines = {
            f"purchases-failing-{line}": Counts(*self.truth.line_counts(line)) for line in self.browsing.business_lines
        }
        return {**counts, **lines}

    async def _probe(self, client: Client, path: str, pulse: Pulse) -> None:
        try:
            with context.bound(deadline_s=1.0):
                reply = await client.call("GET", path)
        except LinkError:
            pulse.record(False)
        else:
            pulse.record(reply.status < 500)

    async def close(self) -> None:
        """Close the connections to other services."""
        for client in (self.inventory, self.cart, self.checkout):
            await client.close()


def _failing(*operations: str) -> Counts:
    """(All requests, those answered with 5xx)."""
    by_class = [metrics.request_metrics(operation).by_class for operation in operations]
    return Counts(sum(map(sum, by_class)), sum(counts[3] for counts in by_class))


def build() -> Service:
    """The service, not yet started."""
    front = Storefront()
    browsing, carting, ordering = front.browsing, front.carting, front.ordering
    return Service(
        "storefront",
        [
            Route("GET", "/", front.home, group="browse"),
            Route("GET", "/products/{sku}", browsing.product, group="browse"),
            Route("GET", "/search", browsing.search, group="browse"),
            Route("GET", "/catalogue", browsing.catalogue, group="browse"),
            Route("GET", "/status", front.status, group="browse"),
            Route("POST", "/carts/{cart_id}/lines", carting.add_lines, operation="add_to_cart", group="cart"),
            Route("GET", "/carts/{cart_id}", carting.get_cart, group="cart"),
            Route(
                "POST",
                "/orders",
                ordering.place,
                operation="place_order",
                group="order",
                turned_away=ordering.turned_away,
            ),
            Route("GET", "/orders/{order_id}", ordering.show, operation="show_order", group="ask"),
            Route("POST", "/admin/ordering", front.switch_ordering, group="admin"),
        ],
        startup=[browsing.load],
        shutdown=[front.close],
        background=[browsing.keep_fresh, front.probe, ordering.unplaced.run, front.alerts.run],
        max_in_flight={
            "cart": env_int("MAX_CARTS_IN_FLIGHT", 200),
            "order": env_int("MAX_ORDERS_IN_FLIGHT", 150),
            "ask": env_int("MAX_ASKING_IN_FLIGHT", 100),
        },
    )
