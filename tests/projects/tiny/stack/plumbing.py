"""What both services of the tiny shop share: an HTTP server of the standard library."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType

from prometheus_client import generate_latest

Answer = tuple[int, Mapping[str, object]]

TOLD: dict[str, float] = {}
"""What whoever has the run's token told this service to do: POST /admin/settings."""


def problem(status: int, kind: str, key: str) -> Answer:
    """An honest error: with a reference, what to do, and whom to ask."""
    return status, {
        "type": f"/problems/{kind}",
        "title": kind,
        "status": status,
        "reference": key[:8],
        "safe_to_retry": True,
        "contact": "help@tiny.example",
    }


def serve(get: Callable[[str], Answer | None], post: Callable[[str, str], Answer]) -> None:
    """Serve on LISTEN_ADDRESS until SIGTERM. `post` gets the path and the Idempotency-Key."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._say(200, generate_latest())
            elif self.path in ("/livez", "/readyz"):
                self._say(200, b"ok")
            else:
                self._answer(get(self.path) or (404, {}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/admin/settings":
                allowed = self.headers.get("Authorization") == f"Bearer {os.environ['ADMIN_TOKEN']}"
                TOLD.update(json.loads(body) if allowed else {})
                return self._answer((200 if allowed else 401, {}))
            return self._answer(post(self.path, self.headers.get("Idempotency-Key") or ""))

        def _answer(self, answer: Answer) -> None:
            kind = "application/json" if answer[0] < 400 else "application/problem+json"
            self._say(answer[0], json.dumps(answer[1]).encode(), kind)

        def _say(self, status: int, body: bytes, kind: str = "text/plain") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        # The standard library's 5 places in line are too few: one connect that is not taken at once is tried again a
        # second later, the proxy waits for it with all who come after, and then they come all at once.
        request_queue_size = 256

    host, port = os.environ["LISTEN_ADDRESS"].rsplit(":", 1)
    server = Server((host, int(port)), Handler)

    def leave(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, leave)
    server.serve_forever(poll_interval=0.05)
