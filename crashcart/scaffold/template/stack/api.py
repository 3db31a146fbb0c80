"""A shop in one file: a page, and orders that its database keeps. Yours may be written in anything.

What crashcart asks of a service: listen on LISTEN_ADDRESS, find dependencies in LINK_<NAME>, answer /livez and /readyz
with 200, end on SIGTERM. For evidence that a fault met real calls, count them: `link_calls_total{link, outcome}` on
/metrics.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import threading
from collections.abc import Coroutine
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import asyncpg
from prometheus_client import Counter, generate_latest

LINK = "api.db"
CALLS = Counter("link_calls", "Calls of a dependency, by outcome", ["link", "outcome"])
for outcome in ("ok", "error", "timeout", "refused"):
    CALLS.labels(LINK, outcome)

PLACE = """
INSERT INTO orders (order_id, idempotency_key, total_cents) VALUES ($1, $2, $3)
ON CONFLICT (idempotency_key) DO UPDATE SET order_id = orders.order_id
RETURNING order_id
"""
DATABASE_WITHIN_S = 1.5


class Database:
    """A pool on an event loop in a thread of its own."""

    def __init__(self, address: str) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._pool: asyncpg.Pool[asyncpg.Record] = self._wait(_connect(address), within_s=20.0)

    def place(self, key: str, total_cents: int) -> str:
        """The order of this key: a new one, or the one that there is already."""
        order_id = hashlib.sha256(key.encode()).hexdigest()[:16]
        return str(self._wait(self._pool.fetchval(PLACE, order_id, key, total_cents), within_s=DATABASE_WITHIN_S))

    def _wait(self, coroutine: Coroutine[Any, Any, Any], *, within_s: float) -> Any:
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(coroutine, within_s), self._loop).result()


async def _connect(address: str) -> asyncpg.Pool[asyncpg.Record]:
    # 20 orders a second × 2 round trips × 200 ms are 8 connections at work all the time: with 8 they would queue
    return await asyncpg.create_pool(address, min_size=20, max_size=20, timeout=DATABASE_WITHIN_S)


class Handler(BaseHTTPRequestHandler):
    """What the shop answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    database: Database

    def do_GET(self) -> None:
        """The page, and what crashcart asks."""
        if self.path == "/metrics":
            self._say(200, generate_latest(), "text/plain; version=0.0.4")
        elif self.path in ("/livez", "/readyz"):
            self._say(200, b"ok", "text/plain")
        elif self.path == "/":
            self._json(200, {"page": "myshop"})
        else:
            self._problem(404, "not-found", "", safe_to_retry=False)

    def do_POST(self) -> None:
        """An order. The same key again is the same order, so trying again is safe."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        key = self.headers.get("Idempotency-Key") or ""
        try:
            total_cents = int(json.loads(body)["total_cents"])
        except (KeyError, TypeError, ValueError):
            self._problem(400, "bad-order", key, safe_to_retry=False)
            return
        try:
            order_id = self.database.place(key, total_cents)
        except TimeoutError:
            CALLS.labels(LINK, "timeout").inc()
            self._problem(504, "order-pending", key, safe_to_retry=True)  # it may have been written: say so
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            CALLS.labels(LINK, "error").inc()
            self._problem(504, "order-pending", key, safe_to_retry=True)
        else:
            CALLS.labels(LINK, "ok").inc()
            self._json(201, {"order_id": order_id})

    def _problem(self, status: int, kind: str, key: str, *, safe_to_retry: bool) -> None:
        """RFC 9457: an honest failure has a reference, whom to ask, and whether trying again is safe."""
        document = {
            "type": f"/problems/{kind}",
            "title": kind,
            "status": status,
            "reference": key[:8] or "none",
            "safe_to_retry": safe_to_retry,
            "contact": "support@myshop.example",
        }
        self._json(status, document, "application/problem+json")

    def _json(self, status: int, document: dict[str, object], kind: str = "application/json") -> None:
        self._say(status, json.dumps(document).encode(), kind)

    def _say(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """No line for each request."""


class Server(ThreadingHTTPServer):
    """A thread a connection."""

    daemon_threads = True
    request_queue_size = 256  # 5 places in line would be too few: who finds none tries again a second later


def main() -> None:
    """Serve until SIGTERM."""
    Handler.database = Database(os.environ["LINK_DB"])
    host, port = os.environ["LISTEN_ADDRESS"].rsplit(":", 1)
    server = Server((host, int(port)), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start())
    server.serve_forever(poll_interval=0.05)


main()
