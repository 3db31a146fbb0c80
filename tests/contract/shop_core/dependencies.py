"""A dependency that talks as a test tells it, and a client of the kit to call it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from stack.kit.client import Client

Talk = Callable[["Line"], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Line:
    """The server's end of one connection; `number` counts them from 0."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """One request; b"" when the client has closed."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return b""
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length: "):
                head += await self._reader.readexactly(int(line.split(b": ")[1]))
        return head

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        self._writer.transport.abort()


class Dependency:
    """A server that talks as the test tells it."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    @asynccontextmanager
    async def talking(self, talk: Talk) -> AsyncIterator[Dependency]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            line = Line(self.connections, reader, writer)
            self.connections += 1
            try:
                await talk(line)
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


async def polite(line: Line) -> None:
    while await line.request():
        await line.say(OK)


def client_of(monkeypatch: pytest.MonkeyPatch, *ports: int, **settings: object) -> Client:
    monkeypatch.setenv("LINK_THING", ",".join(f"http://127.0.0.1:{port}" for port in ports))
    return Client("thing", **{"timeout_s": 5.0, **settings})  # type: ignore[arg-type]


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not so():  # noqa: ASYNC110 - what changes tells nobody
            await asyncio.sleep(0.001)


async def connected(there: Dependency, times: int) -> None:
    await until(lambda: there.connections >= times)
