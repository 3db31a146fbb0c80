"""A small server on a Unix socket that speaks as much of the engine's API as a test needs."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextmanager
def fake_engine(socket: Path, answers: Mapping[str, object]) -> Iterator[str]:
    """Answers each path with its object as JSON, text as it is, and others with 404; a POST with BUILD.

    Yields a DOCKER_HOST.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path)
            body = answer.encode() if isinstance(answer, str) else json.dumps(answer or {"message": "no"}).encode()
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            """A build that breaks off: its first lines, then nothing more, and the connection ends."""
            self.rfile.read(1)
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(str(answers["BUILD"]).encode())
            self.close_connection = True

        def address_string(self) -> str:
            return "client"

        def log_message(self, *arguments: object) -> None:
            pass

    server = _Server(str(socket), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"unix://{socket}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
