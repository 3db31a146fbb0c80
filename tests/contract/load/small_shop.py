"""A small real shop over HTTP, for the load to be driven against: `python small_shop.py PORT MODE`.

Modes: `works`; `hangs` (accepts orders and never answers); `sheds` (answers every
other order with 503, to be tried again); `refuses` (every fifth order, for good); `slow` (most pages take 20 ms, every
fourth 60 ms).
`GET /seen` tells which idempotency keys came to /orders, and how often.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CATALOGUE = [
    {"sku": f"{'P' if rank % 10 == 9 else 'G'}{rank:05d}", "price_cents": 100 + rank, "business_line": line}
    for rank in range(10_000)
    for line in ("photo" if rank % 10 == 9 else "general",)
]
PRICES = {str(item["sku"]): int(item["price_cents"]) for item in CATALOGUE}


class Shop:
    """All that is remembered."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.lock = threading.Lock()
        self.carts: dict[str, dict[str, int]] = {}
        self.seen: Counter[str] = Counter()
        self.for_ever = threading.Event()
        self.pages = 0

    def turn_a_page(self) -> None:
        """Whoever asks, and whatever for."""
        if self.mode == "slow":
            with self.lock:
                self.pages += 1
                pause_s = 0.06 if self.pages % 4 == 0 else 0.02
            time.sleep(pause_s)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    """Else the body waits for the headers to be acknowledged, 40 ms long, on every connection that is used again."""
    shop: Shop

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path not in ("/catalogue", "/seen"):
            self.shop.turn_a_page()
        if self.path == "/catalogue":
            self._say(200, {"skus_by_rank": CATALOGUE})
        elif self.path == "/seen":
            with self.shop.lock:
                self._say(200, dict(self.shop.seen))
        elif self.path == "/":
            self._say_bytes(200, "text/html", b'<h1>A small shop</h1><form action="/search"><input name="q"></form>')
        elif self.path.startswith("/search?q="):
            word = self.path.removeprefix("/search?q=")
            found = [{"sku": sku, "name": f"A {word}", "price_cents": PRICES[sku]} for sku in ("G00000", "P00009")]
            self._say(200, {"items": found})
        else:
            sku = self.path.removeprefix("/products/")
            self._say(200, {"sku": sku, "name": "a thing", "price_cents": PRICES[sku]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/orders":
            self._order(self.headers["Idempotency-Key"], body)
        else:
            self._fill(self.path.split("/")[2], body)

    def _fill(self, cart_id: str, body: dict[str, Any]) -> None:
        with self.shop.lock:
            cart = self.shop.carts.setdefault(cart_id, {})
            cart.update({line["sku"]: line["quantity"] for line in body["lines"]})
            lines = [{"sku": sku, "quantity": n, "price_cents": PRICES[sku]} for sku, n in cart.items()]
            total = sum(n * PRICES[sku] for sku, n in cart.items())
        self._say(200, {"cart_id": cart_id, "lines": lines, "total_cents": total})

    def _order(self, key: str, body: dict[str, Any]) -> None:
        with self.shop.lock:
            self.shop.seen[key] += 1
            times, so_far = self.shop.seen[key], len(self.shop.seen)
        if self.shop.mode == "hangs":
            self.shop.for_ever.wait()
        if self.shop.mode == "sheds" and times % 2 == 1:
            document = {
                "type": "/problems/overloaded",
                "reference": "R-0000000000",
                "safe_to_retry": True,
                "retry_after_s": 0.05,
                "contact": "support@shop.example",
            }
            self._say_bytes(503, "application/problem+json", json.dumps(document).encode())
            return
        if self.shop.mode == "refuses" and so_far % 5 == 0:
            document = {
                "type": "/problems/broken",
                "reference": "R-0000000000",
                "safe_to_retry": False,
                "contact": "support@shop.example",
            }
            self._say_bytes(500, "application/problem+json", json.dumps(document).encode())
            return
        placed = {"order_id": f"o-{key}", "reference": f"R-{key[:10]}", "state": "accepted"}
        self._say(201, {**placed, "total_cents": body["total_cents"]})

    def _say(self, status: int, body: object) -> None:
        self._say_bytes(status, "application/json", json.dumps(body).encode())

    def _say_bytes(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Lets a burst of connections in."""

    daemon_threads = True
    request_queue_size = 256


if __name__ == "__main__":
    Handler.shop = Shop(sys.argv[2])
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
