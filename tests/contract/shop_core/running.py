"""Runs coroutines and services of the kit inside the test process, on the loop that they run on in the shop."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import uvloop

from stack.kit.app import Service
from tests.contract.shop_core.servers import accepts, free_port, wait_until

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


class RunningService:
    """A service on a thread of its own; `stop` drains it."""

    def __init__(self, app: Service, *, wait_ready: bool = True) -> None:
        self.app = app
        self.port = free_port()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: run(self._serve()), daemon=True)
        self._thread.start()
        wait_until("the service listens", lambda: accepts(self.port))
        if wait_ready:
            wait_until("the service is ready", lambda: app.ready)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        await self.app.run("127.0.0.1", self.port, self._stop)

    def begin_stop(self) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)

    def call_soon(self, event: asyncio.Event) -> None:
        assert self._loop is not None
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(event.set)

    def stop(self) -> None:
        if self._thread.is_alive():
            self.begin_stop()
            self._thread.join(15)
        assert not self._thread.is_alive()

    def connect(self) -> RawConnection:
        return RawConnection(self.port)


@contextmanager
def running(app: Service, *, wait_ready: bool = True) -> Iterator[RunningService]:
    service = RunningService(app, wait_ready=wait_ready)
    try:
        yield service
    finally:
        service.stop()


class RawConnection:
    """A client that sends exactly the bytes it is told to."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def get(self, path: str, *headers: str) -> tuple[int, dict[str, str], bytes]:
        self.send("\r\n".join([f"GET {path} HTTP/1.1", "host: x", *headers, "", ""]).encode())
        return self.answer()

    def answer(self, *, body: bool = True) -> tuple[int, dict[str, str], bytes]:
        status = int(self._file.readline().split()[1])
        headers: dict[str, str] = {}
        while line := self._file.readline().strip().decode():
            name, _, value = line.partition(": ")
            headers[name] = value
        return status, headers, self._file.read(int(headers["content-length"])) if body else b""

    def is_closed(self) -> bool:
        """Waits for the other side to close; false when it sends something instead."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def bytes_left(self) -> int:
        """How many bytes come until the other side closes."""
        count = 0
        try:
            while more := self._file.read1(1 << 20):
                count += len(more)
        except ConnectionResetError:
            return count
        return count

    def close(self) -> None:
        self._file.close()
        self.socket.close()
