"""How the harness steers the load: plain HTTP on loopback, in the load process.

`GET /readyz` · `POST /start {"t0_monotonic": s}` · `GET /status` · `POST /stop` · `GET /metrics`
`POST /cut {"phase": name, "end_s": s}`: that phase ends then; answers `{"phases": [{name, start_s, end_s}, …]}`
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gevent
import msgspec
from gevent.pywsgi import WSGIServer

from crashcart.loadkit.run import NotCut, NotReady, Run
from crashcart.model.errors import UsageError

_PREPARE_AGAIN_S = 0.2
_BODY_MAX_BYTES = 4096
_T0_FAR_S = 3600.0

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus's text format."""

StartResponse = Callable[[str, list[tuple[str, str]]], object]


class _Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    t0_monotonic: float


class _Cut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    phase: str
    end_s: float


class Control:
    """The server, and the greenlet that gets the run ready."""

    def __init__(self, run: Run, address: str) -> None:
        """`address`: `127.0.0.1:PORT`. UsageError where it can't be listened on."""
        host, _, port = address.rpartition(":")
        self._run = run
        self._not_ready = "the shop was not asked yet"
        try:
            self._server = WSGIServer((host, int(port)), self._answer, log=None)
            self._server.start()
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot listen on {address}: {error}", remedy="give a free port on 127.0.0.1") from error
        self._preparing = gevent.spawn(self._prepare)

    def close(self) -> None:
        """Stop listening."""
        self._preparing.kill()
        self._server.stop(timeout=0.5)

    def _prepare(self) -> None:
        while True:
            try:
                self._run.prepare()
            except NotReady as why:
                self._not_ready = str(why)
                gevent.sleep(_PREPARE_AGAIN_S)
            else:
                self._not_ready = ""
                return

    def _answer(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        routes: dict[tuple[str, str], Callable[[bytes], tuple[int, str, bytes]]] = {
            ("GET", "/readyz"): self._readyz,
            ("GET", "/status"): self._status,
            ("GET", "/metrics"): self._metrics,
            ("POST", "/start"): self._start,
            ("POST", "/stop"): self._stop,
            ("POST", "/cut"): self._cut,
        }
        route = routes.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if route is None:
            known = ", ".join(f"{method} {path}" for method, path in routes)
            status, content_type, body = _json(404, {"error": f"there is only {known}"})
        else:
            status, content_type, body = route(environ["wsgi.input"].read(_BODY_MAX_BYTES))
        start_response(f"{status} -", [("Content-Type", content_type), ("Content-Length", str(len(body)))])
        return [body]

    def _readyz(self, _: bytes) -> tuple[int, str, bytes]:
        return _json(503, {"ready": False, "why": self._not_ready}) if self._not_ready else _json(200, {"ready": True})

    def _status(self, _: bytes) -> tuple[int, str, bytes]:
        return _json(200, self._run.status())

    def _metrics(self, _: bytes) -> tuple[int, str, bytes]:
        return 200, METRICS_TYPE, self._run.render_metrics()

    def _start(self, body: bytes) -> tuple[int, str, bytes]:
        if self._not_ready:
            return _json(409, {"error": f"not ready: {self._not_ready}"})
        try:
            t0_monotonic = msgspec.json.decode(body, type=_Start).t0_monotonic
        except msgspec.MsgspecError as error:
            return _json(422, {"error": f'{error}; this wants {{"t0_monotonic": seconds}}'})
        if abs(t0_monotonic - time.monotonic()) > _T0_FAR_S:
            return _json(422, {"error": "t0_monotonic is over an hour away from this machine's monotonic clock"})
        self._run.start(t0_monotonic)
        return _json(200, self._run.status())

    def _cut(self, body: bytes) -> tuple[int, str, bytes]:
        try:
            asked = msgspec.json.decode(body, type=_Cut)
            return _json(200, {"phases": self._run.cut(asked.phase, asked.end_s)})
        except msgspec.MsgspecError as error:
            return _json(422, {"error": f'{error}; this wants {{"phase": name, "end_s": seconds from t0}}'})
        except NotCut as why:
            return _json(409, {"error": str(why)})

    def _stop(self, _: bytes) -> tuple[int, str, bytes]:
        self._run.stop()
        return _json(200, self._run.status())


def _json(status: int, body: object) -> tuple[int, str, bytes]:
    return status, "application/json", msgspec.json.encode(body)
