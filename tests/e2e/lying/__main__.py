"""`python -m tests.e2e.lying LIE …` is `crashcart …` with one instrument altered, and everything else as it is.

The faults' lies are done in the harness's own process, by a kind that does something else than it says; the watchdog,
the probes and the judge are honest. Prometheus's are told at the wire: between the real server and its reader stands a
relay that changes what comes back.
"""

from __future__ import annotations

import http.server
import json
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from crashcart import prometheus
from crashcart.cli import main
from crashcart.faults.toxiproxy_down import Down
from crashcart.model.fault import Step
from crashcart.ports import World

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
Series = list[dict[str, Any]]


def fault_does_nothing() -> None:
    """It is announced, logged, undone; the link was never touched."""

    def apply(self: Down, step: Step, world: World) -> None:
        return

    Down.apply = apply  # type: ignore[method-assign]


def fault_outlives_its_phase() -> None:
    """Its undoing is logged, and comes ten seconds late."""
    undo = Down.undo

    def late(self: Down, step: Step, world: World) -> None:
        timer = threading.Timer(10.0, undo, (self, step, world))
        timer.daemon = True
        timer.start()

    Down.undo = late  # type: ignore[method-assign]


def prometheus_lacks_failures() -> None:
    """Every dishonest failure is missing, in every phase and cohort, without a warning."""
    _relayed(lambda result: [one for one in result if one["metric"].get("honest") != "no"])


def prometheus_is_stale() -> None:
    """Ranges end twelve seconds before what was scraped last."""

    def stale(result: Series) -> Series:
        for one in result:
            if "values" in one and one["metric"].get("__name__") not in ("up", "shopper_in_flight"):
                last_s = one["values"][-1][0]
                one["values"] = [point for point in one["values"] if point[0] <= last_s - 12.0]
        return [one for one in result if one.get("values", True)]

    _relayed(stale)


def _relayed(change: Callable[[Series], Series]) -> None:
    begin = prometheus.PrometheusReader.__init__

    def through_a_relay(self: prometheus.PrometheusReader, url: str, timeout_s: float = 2.0) -> None:
        begin(self, _relay(url, change), timeout_s)

    prometheus.PrometheusReader.__init__ = through_a_relay  # type: ignore[method-assign]


def _relay(upstream: str, change: Callable[[Series], Series]) -> str:
    """Where it listens, until this process ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = _fetched(upstream + self.path)
            told = json.loads(body) if status == 200 else {}
            if isinstance(told.get("data"), dict) and "result" in told["data"]:
                told["data"]["result"] = change(told["data"]["result"])
                body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def _fetched(url: str) -> tuple[int, bytes]:
    try:
        with _DIRECT.open(url, timeout=30.0) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as problem:
        return problem.code, problem.read()
    except OSError as problem:
        return 502, str(problem).encode()


LIES: Mapping[str, Callable[[], None]] = {
    "fault-does-nothing": fault_does_nothing,
    "fault-outlives-its-phase": fault_outlives_its_phase,
    "prometheus-lacks-failures": prometheus_lacks_failures,
    "prometheus-is-stale": prometheus_is_stale,
}

if __name__ == "__main__":
    LIES[sys.argv.pop(1)]()
    main()
