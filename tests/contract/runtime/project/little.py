"""A service of a shop too small to be one: it says what it was told, and does as it is bid."""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if os.environ.get("DIES"):
    sys.stderr.write("cannot go on: the cellar is flooded\n")
    sys.exit(3)

held: list[bytes] = []


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        unready = self.path == "/readyz" and os.environ.get("NEVER_READY")
        pages = {"/metrics": "up_since 1\n", "/environment": json.dumps(dict(os.environ))}
        body = pages.get(self.path, "still looking for the key" if unready else "ok").encode()
        if self.path == "/exit":
            sys.stdout.write("leaving without a word of farewell\n")
            os.kill(os.getpid(), signal.SIGKILL)
        if self.path == "/leave":  # the first process of a container can't kill itself
            sys.stdout.write("leaving by the back door\n")
            sys.stdout.flush()
            os._exit(4)
        if self.path == "/hold":
            held.append(b"#" * (64 << 20))
        if self.path == "/work":
            sum(number * number for number in range(3_000_000))
        self.send_response(503 if unready else 200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        return


host, port = os.environ["LISTEN_ADDRESS"].split(":")
sys.stdout.write("listening\n")
server = ThreadingHTTPServer((host, int(port)), Pages)
signal.signal(signal.SIGTERM, signal.SIG_IGN if os.environ.get("DEAF") else lambda *arguments: sys.exit(0))
server.serve_forever(poll_interval=0.05)
