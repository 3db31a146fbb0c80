"""Prometheus's query API, as far as crashcart asks it, over samples in memory. Honest, unless it is told to lie.

It speaks HTTP on loopback, so what reads it is the reader that reads the real one. It knows plain selectors with `=`,
`=~`, `!=` and `!~`, and ranges in milliseconds: what `crashcart/prometheus.py` sends, and an error for all else.
"""

from __future__ import annotations

import http.server
import json
import re
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from crashcart.model.slo import parse_selector

LOOKBACK_S = 300.0
"""So old a sample may be and is still the latest value."""
_RANGE = re.compile(r"(.*)\[(\d+)ms\]", re.DOTALL)

Labels = Mapping[str, str]
"""With `__name__`."""
Points = Sequence[tuple[float, float]]
"""(wall clock, value), in order of time."""
Stored = Sequence[tuple[Labels, Points]]


@dataclass(frozen=True)
class Reply:
    """What goes over the wire."""

    status: int
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)["data"]


@dataclass
class StandIn:
    """`stored` is what it scraped, `targets` (job, instance) what it says that it scrapes."""

    stored: Stored
    targets: Sequence[tuple[str, str]] = (("load", "load"),)
    lies: Callable[[str, Reply], Reply] = lambda question, reply: reply
    """(what was asked: a query, or `targets`; the honest reply) → what is said."""
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def reply(self, path: str) -> Reply:
        where, _, words = path.partition("?")
        asked = dict(urllib.parse.parse_qsl(words))
        if where == "/api/v1/targets":
            active = [{"labels": {"job": job, "instance": instance}} for job, instance in self.targets]
            return self._said("targets", _success({"activeTargets": active}))
        if where != "/api/v1/query":
            return Reply(404, b"404 page not found")
        at_s = float(asked.get("time", time.time()))
        return self._said(asked["query"], self._queried(asked["query"], at_s))

    def _said(self, question: str, honest: Reply) -> Reply:
        self.asked.append(question)
        return self.lies(question, honest)

    def _queried(self, query: str, at_s: float) -> Reply:
        ranged = _RANGE.fullmatch(query)
        text, span_s = (ranged[1], int(ranged[2]) / 1000) if ranged else (query, LOOKBACK_S)
        # a selector of labels alone has no name of its own
        selector = parse_selector(text if not text.startswith("{") else f"any{text}")
        name = "" if text.startswith("{") else selector.metric
        result: list[dict[str, Any]] = []
        for labels, points in self.stored:
            if name not in ("", labels["__name__"]) or not selector.accepts(labels):
                continue
            inside = [(t, value) for t, value in points if at_s - span_s < t <= at_s]
            if inside and ranged:
                result.append({"metric": dict(labels), "values": [[t, _text(value)] for t, value in inside]})
            elif inside:
                result.append({"metric": dict(labels), "value": [at_s, _text(inside[-1][1])]})
        return _success({"resultType": "matrix" if ranged else "vector", "result": result})


def _success(data: object) -> Reply:
    return Reply(200, json.dumps({"status": "success", "data": data}).encode())


def _text(value: float) -> str:
    return f"{value:.10g}"


@contextmanager
def listening(prometheus: StandIn) -> Iterator[StandIn]:
    """It answers until the end of this."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply = prometheus.reply(self.path)
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *args: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        prometheus.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield prometheus
        finally:
            server.shutdown()
            thread.join()
