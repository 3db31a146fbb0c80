"""A vulnerability service that speaks as OSV does: what it knows is told, and what it is asked is kept."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NOTHING: dict[str, object] = {}


@dataclass
class Service:
    """`knows`: (package, version) → what is known against it."""

    knows: Mapping[tuple[str, str], str]
    status: int = 200
    says: bytes | None = None
    """Whatever it is asked."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""

    def answer(self, body: bytes) -> bytes:
        query = json.loads(body)
        assert query["package"]["ecosystem"] == "PyPI"
        asked = (query["package"]["name"], query["version"])
        self.asked.append(asked)
        if self.says is not None:
            return self.says
        return json.dumps({"vulns": [_known(asked[0], self.knows[asked])]} if asked in self.knows else NOTHING).encode()


def _known(package: str, name: str) -> dict[str, object]:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}]
    affected = [{"package": {"name": package, "ecosystem": "PyPI"}, "ranges": ranges}]
    return {"id": name, "summary": "bad", "aliases": ["CVE-2000-0001"], "affected": affected}


@contextlib.contextmanager
def listening(service: Service) -> Iterator[Service]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = service.answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            self.send_response(service.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    service.address = f"http://127.0.0.1:{server.server_port}/v1/query"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
