"""What people write for stock Locust and its fast client. One of these is chosen on the command line."""

from __future__ import annotations

import uuid
from random import choices, random

from locust import FastHttpUser, task

_SKU = "G00001"


class OneGetATask(FastHttpUser):
    """As a user is usually written. Not to wait between tasks is Locust's own default."""

    @task
    def page(self) -> None:
        """One page."""
        self.client.get(f"/products/{_SKU}", name="/products/[sku]")


class TightLoop(FastHttpUser):
    """As fast as it goes: Locust's choice of the next task is never come to."""

    @task
    def pages(self) -> None:
        """Pages, until the process ends."""
        while True:
            self.client.get(f"/products/{_SKU}", name="/products/[sku]")


class Visits(FastHttpUser):
    """Pages, a cart, now and then an order, as `mix` in load.yaml has them, with the checks that ours make."""

    @task
    def visit(self) -> None:
        """One session."""
        for _ in range(choices((1, 2, 3, 4), (0.35, 0.35, 0.20, 0.10))[0]):
            with self.client.get(f"/products/{_SKU}", name="/products/[sku]", catch_response=True) as page:
                if page.status_code != 200 or page.json()["sku"] != _SKU:
                    page.failure("another product")
        cart_id = uuid.uuid4().hex
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        lines = {"lines": [{"sku": _SKU, "quantity": 1}]}
        with self.client.post(
            f"/carts/{cart_id}/lines", name="/carts/[id]/lines", json=lines, headers=headers, catch_response=True
        ) as cart:
            total_cents = cart.json()["total_cents"]
            if cart.status_code != 200 or [line["sku"] for line in cart.json()["lines"]] != [_SKU]:
                cart.failure("another cart")
        if random() < 0.30:
            order = {"cart_id": cart_id, "total_cents": total_cents, "card": {"network": "visa", "token": "tok"}}
            headers = {"Idempotency-Key": uuid.uuid4().hex}
            with self.client.post("/orders", json=order, headers=headers, catch_response=True) as placed:
                if placed.status_code != 201 or placed.json()["total_cents"] != total_cents:
                    placed.failure("another order")
