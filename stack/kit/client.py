"""A lean HTTP/1.1 client for calls between services: keep-alive, deadlines, budgeted retries, a breaker, honest errors.

It tells apart what definitely did not happen (`NotSent`) from what may have (`OutcomeUnknown`); nothing else is raised.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import orjson

from stack.kit import context, metrics
from stack.kit.breaker import Breaker
from stack.kit.connections import Connection, ConnectionLost, Pool, PoolBusy
from stack.kit.replicas import Replicas
from stack.kit.settings import link_addresses

_RETRY_BUDGET_MAX = 10.0
_BACKOFF_S = 0.02
_BREAKER_OPEN = "breaker open"
_STARTING = b'"/problems/starting"'
_EMPTY: Mapping[str, str] = {}


class LinkError(Exception):
    """A call on a link got no answer. `link` is `client.dependency`, `reason` a word or two."""

    def __init__(self, link: str, reason: str) -> None:
        super().__init__(f"{link}: {reason}")
        self.link = link
        self.reason = reason


class NotSent(LinkError):
    """The request definitely did not reach the dependency: it cannot have done anything."""


class OutcomeUnknown(LinkError):
    """The request may have reached the dependency and may have been carried out."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whatever its status. Header names are lower-case bytes."""

    status: int
    body: bytes
    headers: Mapping[bytes, bytes]

    def json(self) -> Any:
        """The body as JSON; raises ValueError when it is none."""
        return orjson.loads(self.body)


class Client:
    """Calls to one dependency, its replicas in turn.

    `timeout_s` bounds one attempt (the present deadline bounds all). `retries` repeats of calls that are `idempotent`
    or were not sent are allowed while they stay under `retry_budget` of the calls. Statuses in `failures` count
    against the breaker and as outcome `error`: 503 and 504 are not among them, since a dependency that refuses one
    cohort may still serve the others.
    """

    def __init__(
        self,
        dependency: str,
        *,
        timeout_s: float,
        retries: int = 0,
        retry_budget: float = 0.1,
        breaker: Breaker | None = None,
        pool: int = 32,
        failures: frozenset[int] = frozenset({500, 502}),
    ) -> None:
        self.metrics = metrics.link_metrics(dependency)
        self.link = self.metrics.link
        self.breaker = breaker
        if breaker is not None:
            breaker.on_change = self.metrics.set_breaker
        self._timeout_s = timeout_s
        self._retries = retries
        self._budget_share = retry_budget
        self._budget = _RETRY_BUDGET_MAX / 2
        self._failures = failures
        self._replicas = Replicas([Pool(address, pool) for address in link_addresses(dependency)])
        self._host = dependency
        self.metrics.watch(self.places)

    def places(self) -> metrics.Places:
        """How full the pools of all replicas are together."""
        return metrics.Places(*map(sum, zip(*(pool.places() for pool in self._replicas), strict=True)))

    async def call(
        self,
        method: str,
        path: str,
        body: object | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        idempotent: bool = True,
    ) -> Reply:
        """One call, with its retries. `body` is sent as JSON (bytes as they are); `path` is percent-encoded already.

        Raises NotSent, or OutcomeUnknown; the latter also when the last attempt was not sent but an earlier one is in
        doubt.
        """
        payload = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        attempt_s = self._timeout_s if timeout_s is None else timeout_s
        self._budget = min(_RETRY_BUDGET_MAX, self._budget + self._budget_share)
        in_doubt: OutcomeUnknown | None = None
        for attempt in itertools.count():
            failure: LinkError
            try:
                return await self._attempt(method, path, payload, headers or _EMPTY, attempt_s)
            except OutcomeUnknown as error:
                failure = in_doubt = error
                again = idempotent
            except NotSent as error:
                failure = in_doubt or error
                again = error.reason != _BREAKER_OPEN
            if not again or not self._may_repeat(attempt):
                raise failure
            self._budget -= 1.0
            self.metrics.retry()
            if attempt > 0:
                await asyncio.sleep(random.uniform(0.5, 1.5) * _BACKOFF_S * 2**attempt)
        raise AssertionError("unreachable")

    def _may_repeat(self, attempt: int) -> bool:
        return attempt < self._retries and self._budget >= 1.0 and context.remaining_s() > 2 * _BACKOFF_S

    async def _attempt(
        self, method: str, path: str, payload: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Reply:
        left_s = context.remaining_s()
        timeout_s = min(timeout_s, left_s)
        if timeout_s <= 0.0:
            raise NotSent(self.link, "deadline passed")
        request = _request(method, path, self._host, payload, headers, left_s)
        breaker = self.breaker
        if breaker is not None and not breaker.allow():
            self.metrics.refuse("short_circuited")
            raise NotSent(self.link, _BREAKER_OPEN)
        started = monotonic()
        outcome: str | None = None
        written = False
        connection: Connection | None = None
        try:
            connection = await self._connection(started + timeout_s)
            if connection.is_open:
                self.metrics.start()
                written = True
            status, reply_headers, body = await connection.exchange(request, started + timeout_s - monotonic())
            if status == 503 and self._replicas.several and _STARTING in body:
                outcome = "refused"
                raise NotSent(self.link, "starting")
            outcome = "error" if status in self._failures else "ok"
            return Reply(status, body, reply_headers)
        except TimeoutError as error:
            outcome = "timeout"
            raise (OutcomeUnknown if connection else NotSent)(self.link, "timeout") from error
        except PoolBusy as error:
            outcome = "saturated"
            raise NotSent(self.link, str(error)) from error
        except ConnectionLost as error:
            outcome = "error"
            raise OutcomeUnknown(self.link, f"connection lost: {error}") from error
        except OSError as error:
            outcome = "refused"
            raise NotSent(self.link, f"connect: {error.strerror or error}") from error
        finally:
            self._count(outcome, written, monotonic() - started)
            if outcome is not None:  # None: our caller was cancelled, which says nothing of the link
                self._learn(outcome, connection)

    def _count(self, outcome: str | None, written: bool, seconds: float) -> None:
        """One attempt that has ended; `started` already where its request was `written`."""
        if outcome == "saturated":
            self.metrics.refuse(outcome)
            return
        if outcome is not None and not written:
            self.metrics.start()  # the link turned it away
        self.metrics.record(outcome or "error", seconds)

    def _learn(self, outcome: str, connection: Connection | None) -> None:
        """What a call says of the replica that it went to, and of the dependency as a whole."""
        ok = outcome == "ok"
        whole = True
        if connection is not None and self._replicas.several:
            if ok or (outcome == "error" and connection.is_open):
                self._replicas.went_well(connection.pool)
            else:
                whole = self._replicas.failed(connection.pool)
        if self.breaker is not None and (ok or whole):
            self.breaker.record(ok)

    async def _connection(self, until: float) -> Connection:
        """A free connection to the next replica; where one refuses, the others are tried in turn."""
        refused: OSError | PoolBusy | None = None
        for pool in self._replicas.in_turn():
            try:
                return await pool.take(until)
            except TimeoutError:
                self._replicas.failed(pool)
                raise
            except PoolBusy as error:
                refused = error
            except OSError as error:
                self._replicas.failed(pool)
                refused = error
        raise refused if refused is not None else OSError("no replica")

    async def close(self) -> None:
        """Close all connections."""
        for pool in self._replicas:
            pool.close()


def _request(method: str, path: str, host: str, payload: bytes, headers: Mapping[str, str], left_s: float) -> bytes:
    if not _is_token(path):
        raise ValueError(f"path {path!r} is not percent-encoded")
    head = f"{method} {path} HTTP/1.1\r\nhost: {host}\r\nx-deadline-ms: {int(left_s * 1000)}\r\n"
    work = context.current.get()
    if work is not None:
        head += f"x-reference: {work.reference}\r\n"
        if work.cohort is not None:
            head += f"x-cohort: {work.cohort}\r\n"
    for name, value in headers.items():
        if "\r" in value or "\n" in value:
            raise ValueError(f"header {name} holds a line break")
        head += f"{name}: {value}\r\n"
    if payload:
        head += f"content-type: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
    elif method == "GET":
        head += "\r\n"
    else:
        head += "content-length: 0\r\n\r\n"
    return head.encode("latin-1") + payload


def _is_token(path: str) -> bool:
    return path.isascii() and path.isprintable() and " " not in path
