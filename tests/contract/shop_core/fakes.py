"""A checkout written by hand: it takes the orders it is told to take, and can be told to fail."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stack.kit.references import for_key, order_id_for
from tests.contract.shop_core.servers import Answer, Proxy, ServiceProcess


class FakeCheckout:
    """Accepts every order once; `refuse` makes it answer POST with a problem instead."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, Mapping[str, Any], Mapping[str, str]]] = []
        self.unplaced: list[dict[str, Any]] = []
        self.refusal: tuple[int, dict[str, Any]] | None = None
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.path == "/orders/unplaced":
                    fake.unplaced += body["orders"]
                    self._answer(200, {"closed": len(body["orders"])})
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                fake.asked.append((headers["idempotency-key"], body, headers))
                self._answer(*fake._place(headers["idempotency-key"], body))

            def do_GET(self) -> None:
                order = fake.orders.get(self.path.removeprefix("/orders/"))
                self._answer(*((200, order) if order else (404, {"type": "/problems/not-found"})))

            def _answer(self, status: int, document: Mapping[str, Any]) -> None:
                text = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json" if status < 300 else "application/problem+json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _place(self, key: str, body: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        if self.refusal is not None:
            return self.refusal
        order_id = str(order_id_for(key))
        order = {
            "order_id": order_id,
            "reference": for_key(key),
            "state": "accepted",
            "total_cents": body["total_cents"],
        }
        return 201, self.orders.setdefault(order_id, order)

    def refuse(self, status: int, kind: str) -> None:
        self.refusal = (status, {"type": f"/problems/{kind}", "status": status})

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Shop:
    """A storefront, what is behind it, and what a shopper does there."""

    front: ServiceProcess
    checkout_service: FakeCheckout
    inventory: Proxy
    cart: Proxy
    checkout: Proxy

    def add(self, cart_id: str, sku: str = "G00001", quantity: int = 1, key: str | None = None) -> Answer:
        lines = {"lines": [{"sku": sku, "quantity": quantity}]}
        return self.front.call("POST", f"/carts/{cart_id}/lines", lines, key=key or uuid.uuid4().hex)

    def filled_cart(self) -> str:
        cart_id = uuid.uuid4().hex
        assert self.add(cart_id).status == 200
        return cart_id

    def order(
        self, cart_id: str, key: str, total_cents: int = 1999, headers: Mapping[str, str] | None = None
    ) -> Answer:
        card = {"network": "visa", "token": "tok_1"}
        body = {"cart_id": cart_id, "total_cents": total_cents, "card": card, "email": "a@shop.example"}
        return self.front.call("POST", "/orders", body, key=key, headers=headers)

    def status(self) -> dict[str, Any]:
        document: dict[str, Any] = self.front.call("GET", "/status").body
        return document

    def switch(self, *, is_open: bool, banner: str | None = None, token: str = "letmein") -> Answer:
        headers = {"Authorization": f"Bearer {token}"}
        return self.front.call("POST", "/admin/ordering", {"open": is_open, "banner": banner}, headers=headers)
