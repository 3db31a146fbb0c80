"""A service: routes, admission control, metrics, health, start-up, background loops, graceful end.

    routes = [Route("GET", "/things/{id}", get_thing), Route("POST", "/things", add_thing, group="write")]
    app = Service("things", routes, startup=[connect], background=[sweep], max_in_flight={"write": 40})
    serve(app)

A handler is `async def f(request) -> Response`, or a plain `def` when it waits for nothing (no task is made for it;
it must not use `context`, only its request). A `Problem` raised by either becomes problem+json; anything else is a
500 problem with its traceback logged.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import uvloop

from stack.kit import context, metrics
from stack.kit.http import Request, Response, decoded, json_response, problem_response
from stack.kit.log import log, log_exception
from stack.kit.problems import Problem, not_found, overloaded
from stack.kit.server import Answer, Server
from stack.kit.settings import env_float, identity

__all__ = ["Request", "Response", "Route", "Service", "json_response", "serve"]

Handler = Callable[[Request], Response] | Callable[[Request], Awaitable[Response]]
Step = Callable[[], Awaitable[None]]

DRAIN_S = env_float("DRAIN_S", 5.0)
MAX_BODY_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `operation` labels its metrics (default: the handler's name); `group` is for admission.

    `turned_away` is told of each request that is refused for want of room, before that is answered.
    """

    method: str
    path: str
    handler: Handler
    operation: str | None = None
    group: str = "default"
    turned_away: Callable[[Request], None] | None = None


class _Group:
    """Requests of one class at work at the same time."""

    __slots__ = ("in_flight", "limit", "name")

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self.limit = limit
        self.in_flight = 0

    def places(self) -> metrics.Places:
        return metrics.Places(self.in_flight, self.limit)


class _Endpoint:
    """A route made ready: its metrics, its group, whether it is a coroutine."""

    __slots__ = ("group", "handler", "is_async", "names", "record", "turned_away")

    def __init__(self, route: Route, group: _Group) -> None:
        self.handler: Callable[[Request], Any] = route.handler
        self.is_async = inspect.iscoroutinefunction(route.handler)
        self.record = metrics.request_metrics(route.operation or _name_of(route.handler)).record
        self.group = group
        self.turned_away = route.turned_away
        self.names = tuple(part[1:-1] for part in route.path.split("/") if part[:1] == "{")


def _name_of(handler: Handler) -> str:
    return str(getattr(handler, "__name__", "call"))


class _Router:
    """Static paths by one look-up; paths with `{name}` segments by their number of segments and fixed parts."""

    def __init__(self) -> None:
        self._static: dict[str, dict[str, _Endpoint]] = {}
        self._patterns: dict[int, list[tuple[tuple[str | None, ...], dict[str, _Endpoint]]]] = {}

    def add(self, route: Route, endpoint: _Endpoint) -> None:
        if "{" not in route.path:
            self._static.setdefault(route.path, {})[route.method] = endpoint
            return
        segments = tuple(None if part[:1] == "{" else part for part in route.path.split("/"))
        patterns = self._patterns.setdefault(len(segments), [])
        for known, methods in patterns:
            if known == segments:
                methods[route.method] = endpoint
                return
        patterns.append((segments, {route.method: endpoint}))

    def find(self, request: Request) -> _Endpoint:
        """The endpoint of a request, whose params are filled in; a 404 or 405 problem where there is none."""
        methods = self._static.get(request.path)
        values: list[str] = []
        if methods is None:
            parts = request.path.split("/")
            for segments, candidates in self._patterns.get(len(parts), ()):
                if all(fixed is None or fixed == part for fixed, part in zip(segments, parts, strict=True)):
                    values = [part for fixed, part in zip(segments, parts, strict=True) if fixed is None]
                    methods = candidates
                    break
        if methods is None or not all(values):
            raise not_found(f"there is nothing at {request.path}")
        endpoint = methods.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            allowed = ", ".join(sorted(methods))
            raise Problem(405, "method-not-allowed", "Method not allowed", f"allowed: {allowed}", safe_to_retry=False)
        if values:
            request.params = dict(zip(endpoint.names, map(decoded, values), strict=True))
        return endpoint


class Service:
    """A service ready to serve; `handle` is called by the server for each request.

    `max_in_flight` is one limit for each group of routes, or a limit by group name.
    """

    def __init__(
        self,
        name: str,
        routes: Sequence[Route],
        *,
        startup: Sequence[Step] = (),
        shutdown: Sequence[Step] = (),
        background: Sequence[Step] = (),
        max_in_flight: int | Mapping[str, int] | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self.name = name
        self.max_body_bytes = max_body_bytes
        self.startup = startup
        self.shutdown = shutdown
        self.background = background
        self.ready = False
        self._router = _Router()
        self._at_work: dict[Request, asyncio.Task[None]] = {}
        self._other = metrics.request_metrics("other").record
        groups: dict[str, _Group] = {}
        for route in routes:
            if route.group not in groups:
                limit = max_in_flight.get(route.group) if isinstance(max_in_flight, Mapping) else max_in_flight
                groups[route.group] = _Group(route.group, 1_000_000 if limit is None else limit)
                if limit is not None:
                    metrics.watch_group(route.group, groups[route.group].places)
            self._router.add(route, _Endpoint(route, groups[route.group]))
        self._health = {"/livez": self._livez, "/readyz": self._readyz, "/metrics": _metrics}

    # ---- requests

    def handle(self, request: Request, answer: Answer) -> None:
        """Answer one request; never raises."""
        health = self._health.get(request.path)
        if health is not None:
            answer(health())
            return
        record = self._other
        try:
            endpoint = self._router.find(request)
            record = endpoint.record
            if not endpoint.is_async:
                response = self._ask_now(endpoint, request)
            else:
                work = self._admit(endpoint, request)
                # Held here because the loop itself holds tasks only weakly.
                self._at_work[request] = asyncio.create_task(self._run(endpoint, request, work, answer))
                return
        except Exception as error:  # noqa: BLE001 - the process's top for a request; the traceback is logged
            response = _error_response(request, error)
        record(response.status, monotonic() - request.started)
        answer(response)

    def _ask_now(self, endpoint: _Endpoint, request: Request) -> Response:
        if not self.ready:
            raise _starting()
        response: Response = endpoint.handler(request)
        return response

    def _admit(self, endpoint: _Endpoint, request: Request) -> context.Work:
        """Let a request in, or refuse it before anything is done for it."""
        if not self.ready:
            raise _starting()
        group = endpoint.group
        if group.in_flight >= group.limit:
            if endpoint.turned_away is not None:
                endpoint.turned_away(request)
            raise overloaded()
        work = request.work
        if work.deadline <= request.started:
            raise overloaded("The deadline of this request had passed when it arrived; nothing was done.")
        group.in_flight += 1
        return work

    async def _run(self, endpoint: _Endpoint, request: Request, work: context.Work, answer: Answer) -> None:
        context.current.set(work)
        try:
            response: Response = await endpoint.handler(request)
        except Exception as error:  # noqa: BLE001 - the process's top for a request; the traceback is logged
            response = _error_response(request, error)
        finally:
            endpoint.group.in_flight -= 1
            del self._at_work[request]
        endpoint.record(response.status, monotonic() - request.started)
        if request.method == "GET" or b"\r\nx-reference: " in response.head:
            answer(response)
        else:
            answer(response, f"x-reference: {work.reference}\r\n".encode("latin-1"))

    # ---- health

    def _livez(self) -> Response:
        return json_response({"live": True})

    def _readyz(self) -> Response:
        return json_response({"ready": self.ready}, 200 if self.ready else 503)

    # ---- life

    async def run(self, host: str, port: int, stop: asyncio.Event) -> None:
        """Listen, start up, serve until `stop` is set, drain. A start-up step that raises ends it with that error."""
        server = Server(self)
        port = await server.listen(host, port)
        loops: list[asyncio.Task[None]] = []
        if await self._started(stop):
            loops = [asyncio.create_task(_supervised(step)) for step in self.background]
            # What start-up built stays: keep the collector from walking it again and again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(20_000, 20, 50)
            self.ready = True
            log("ready", port=port, cpu_s=round(time.process_time(), 3))
            await stop.wait()
        log("draining")
        finished = await server.drain(DRAIN_S)
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        for step in self.shutdown:
            await step()
        log("stopped", drained=finished)

    async def _started(self, stop: asyncio.Event) -> bool:
        """Run the start-up steps; false when told to stop meanwhile."""

        async def steps() -> None:
            for step in self.startup:
                await step()

        starting = asyncio.create_task(steps())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return False
        starting.result()
        return True


def _starting() -> Problem:
    detail = "The service is starting; nothing was done."
    return Problem(503, "starting", "Not ready yet", detail, safe_to_retry=True, retry_after_s=1.0)


def _error_response(request: Request, error: Exception) -> Response:
    """A problem as it says; anything else is our defect: a 500 with a reference that leads to the logged traceback."""
    try:
        reference = request.reference
    except Problem:
        reference = context.reference()
    if isinstance(error, Problem):
        return problem_response(error, reference)
    log_exception("unexpected-error", error, reference=reference, path=request.path)
    return problem_response(
        Problem(
            500,
            "internal",
            "Something went wrong on our side",
            "The request may or may not have been carried out; ask again with the same Idempotency-Key to find out.",
            safe_to_retry=True,
            retry_after_s=2.0,
        ),
        reference,
    )


def _metrics() -> Response:
    return Response(metrics.exposition(), content_type=b"text/plain; version=0.0.4; charset=utf-8")


async def _supervised(step: Step) -> None:
    """Run a background loop for ever: one that fails is logged and started again, at first soon, then each second."""
    wait_s = 0.05
    while True:
        began = monotonic()
        try:
            await step()
            return
        except Exception as error:  # noqa: BLE001 - the process's top for a loop; the traceback is logged
            log_exception("background-failed", error, loop=getattr(step, "__qualname__", repr(step)))
        if monotonic() - began > 10.0:
            wait_s = 0.05
        await asyncio.sleep(wait_s)
        wait_s = min(1.0, wait_s * 2)


def serve(app: Service) -> None:
    """Serve on LISTEN_ADDRESS until SIGTERM or SIGINT, then drain (at most DRAIN_S seconds) and exit 0."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        me = identity()
        await app.run(me.host, me.port, stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
