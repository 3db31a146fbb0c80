"""Valkey behind a link: all callers share one pipelined connection, so that latency never queues one behind another."""

from __future__ import annotations

import asyncio
from collections import deque
from hashlib import sha1
from time import monotonic
from typing import Any, cast
from urllib.parse import urlsplit

import hiredis

from stack.kit import context, metrics
from stack.kit.log import log
from stack.kit.settings import link_addresses

RETRY_FIRST_S = 0.02
RETRY_MAX_S = 0.25
CONNECT_S = 1.0
STALL_S = 1.0
MAX_IN_FLIGHT = 512


class ValkeyError(Exception):
    """A command gave no result. `link` is `client.valkey`, `reason` a few words."""

    def __init__(self, link: str, reason: str) -> None:
        super().__init__(f"{link}: {reason}")
        self.link = link
        self.reason = reason


class ValkeyUnavailable(ValkeyError):
    """The command was definitely not carried out."""


class ValkeyOutcomeUnknown(ValkeyError):
    """The command may have been carried out."""


class Script:
    """A Lua script, called by its digest."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()


class _Line(asyncio.Protocol):
    """One connection: commands out, replies back in the same order."""

    def __init__(self, owner: Valkey) -> None:
        self._owner = owner
        self._reader = hiredis.Reader()
        self._gets = self._reader.gets
        self.transport: asyncio.Transport | None = None
        self.waiting: deque[asyncio.Future[Any]] = deque()
        self.heard = monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def send(self, command: bytes, waiter: asyncio.Future[Any]) -> None:
        assert self.transport is not None
        if not self.waiting:
            self.heard = monotonic()
        self.waiting.append(waiter)
        self.transport.write(command)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        self.heard = monotonic()
        try:
            while (reply := self._gets()) is not False:
                waiter = self.waiting.popleft()
                if not waiter.done():
                    waiter.set_result(reply)
        except (hiredis.HiredisError, IndexError) as error:
            self._lose(f"not a Valkey answer: {error!r}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(str(exc) if exc else "closed by the other side")

    def _lose(self, why: str) -> None:
        if self.transport is not None:
            self.transport.abort()
            self.transport = None
            self._owner.lost(self)
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                waiter.set_exception(ConnectionError(why))

    def stalled(self, now: float) -> bool:
        return bool(self.waiting) and now - self.heard > STALL_S

    def cut(self, why: str) -> None:
        self._lose(why)


class Valkey:
    """One Valkey. `call` raises ValkeyUnavailable, ValkeyOutcomeUnknown, or hiredis.ReplyError when the server refuses.

    A connection that says nothing for a second while answers are due is given up and opened anew; while there is none,
    calls are refused at once and a new one is tried every 0.25 s or sooner.
    """

    def __init__(self, link: metrics.LinkMetrics, address: str, timeout_s: float) -> None:
        url = urlsplit(address)
        self.metrics = link
        self.link = link.link
        self._host = url.hostname or "127.0.0.1"
        self._port = url.port or 6379
        self._database = int(url.path.lstrip("/") or 0)
        self._timeout_s = timeout_s
        self._line: _Line | None = None
        self._lost = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._scripts: list[Script] = []

    async def open(self, scripts: list[Script]) -> None:
        """Wait for the first connection, trying for ever; each new connection has `scripts` loaded."""
        self._scripts = scripts
        while not await self._connect():  # noqa: ASYNC110 - nobody tells us when the server is there
            await asyncio.sleep(0.1)
        self._keeper = asyncio.create_task(self._keep())
        self.metrics.watch(self._places)

    def _places(self) -> metrics.Places:
        return metrics.Places(0 if self._line is None else len(self._line.waiting), MAX_IN_FLIGHT)

    async def close(self) -> None:
        """Close the connection and stop replacing it."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._line is not None:
            self._line.cut("closed")

    async def script(self, script: Script, keys: list[str], args: list[str | bytes | int]) -> Any:
        """Run a script in one round trip (a server that lost it, after a restart, is given its text)."""
        try:
            return await self.call("EVALSHA", script.digest, len(keys), *keys, *args)
        except hiredis.ReplyError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
        return await self.call("EVAL", script.text, len(keys), *keys, *args)

    async def call(self, *command: str | bytes | int) -> Any:
        """One command, within the client's time limit and the present deadline."""
        line = self._line
        if line is None:
            self.metrics.refuse("refused")
            raise ValkeyUnavailable(self.link, "down")
        if len(line.waiting) >= MAX_IN_FLIGHT:
            self.metrics.refuse("saturated")
            raise ValkeyUnavailable(self.link, "too many commands wait for an answer")
        timeout_s = min(self._timeout_s, context.remaining_s())
        if timeout_s <= 0.0:
            raise ValkeyUnavailable(self.link, "deadline passed")
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Any] = loop.create_future()
        started = monotonic()
        outcome = "error"
        timer = loop.call_later(timeout_s, _time_out, waiter)
        self.metrics.start()
        line.send(hiredis.pack_command(command), waiter)  # type: ignore[arg-type]
        try:
            reply = await waiter
            outcome = "ok"
        except TimeoutError as error:
            outcome = "timeout"
            raise ValkeyOutcomeUnknown(self.link, "timeout") from error
        except ConnectionError as error:
            raise ValkeyOutcomeUnknown(self.link, f"connection lost: {error}") from error
        finally:
            timer.cancel()
            self.metrics.record(outcome, monotonic() - started)
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def lost(self, line: _Line) -> None:
        """The connection is gone."""
        if self._line is line:
            self._line = None
            log("valkey-down", level="error", link=self.link)
        self._lost.set()

    async def _connect(self) -> bool:
        loop = asyncio.get_running_loop()
        line: _Line | None = None
        try:
            async with asyncio.timeout(CONNECT_S):
                _, line = await loop.create_connection(lambda: _Line(self), self._host, self._port)
                commands: list[tuple[str | int, ...]] = [("SELECT", self._database)]
                commands += [("SCRIPT", "LOAD", script.text) for script in self._scripts]
                waiters: list[asyncio.Future[Any]] = []
                for command in commands:
                    waiter: asyncio.Future[Any] = loop.create_future()
                    waiters.append(waiter)
                    line.send(hiredis.pack_command(command), waiter)  # type: ignore[arg-type]
                replies = await asyncio.gather(*waiters)
        except (OSError, TimeoutError):
            if line is not None:
                line.cut("not set up in time")
            return False
        refused = [reply for reply in replies if isinstance(reply, hiredis.ReplyError)]
        if refused:  # still loading its data, for example
            line.cut(str(refused[0]))
            return False
        self._line = line
        return True

    async def _keep(self) -> None:
        """Replace a lost connection, at once and then with short pauses; give up one that has fallen silent."""
        pause_s = RETRY_FIRST_S
        while True:
            line = self._line
            if line is not None:
                await self._watch(line)
            elif await self._connect():
                log("valkey-up", link=self.link)
                pause_s = RETRY_FIRST_S
            else:
                await asyncio.sleep(pause_s)
                pause_s = min(RETRY_MAX_S, pause_s * 2)

    async def _watch(self, line: _Line) -> None:
        """Give back when the connection is lost, or for a look at whether it has fallen silent."""
        self._lost.clear()
        try:
            async with asyncio.timeout(STALL_S / 4):
                await self._lost.wait()
        except TimeoutError:
            if line.stalled(monotonic()):
                line.cut("silent for too long")


def _time_out(waiter: asyncio.Future[Any]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError("no answer in time"))


async def connect(dependency: str, *, timeout_s: float, scripts: list[Script]) -> Valkey:
    """Open a Valkey; waits until it answers."""
    valkey = Valkey(metrics.link_metrics(dependency), link_addresses(dependency)[0], timeout_s)
    await valkey.open(scripts)
    return valkey
