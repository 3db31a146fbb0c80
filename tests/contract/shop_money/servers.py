"""Ports, requests, patience, and Postgres servers of the tests' own."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from crashcart.tools import ServerAccount


def free_port() -> int:
    """A port that was free a moment ago, below those that outgoing connections are given.

    A server that is killed and started again on its port would now and then find it taken by such a connection.
    """
    for port in random.sample(range(12_000, 30_000), 100):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("100 ports were all taken")


def call(
    port: int,
    method: str,
    path: str,
    body: object = None,
    headers: dict[str, str] | None = None,
    timeout_s: float = 10.0,
) -> tuple[int, Any]:
    """One HTTP exchange on a connection of its own; OSError or HTTPException when there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, headers or {})
        reply = connection.getresponse()
        content = reply.read()
        return reply.status, json.loads(content) if content[:1] in b"{[" and content else content
    finally:
        connection.close()


def until(what: str, true: Any, within_s: float = 20.0) -> None:
    """Ask again until it is so."""
    ends = time.monotonic() + within_s
    while not true():
        if time.monotonic() > ends:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(0.05)


@dataclass
class Postgres:
    """One server of its own, which can be killed and started again."""

    binaries: Path
    folder: Path
    port: int
    account: ServerAccount
    process: subprocess.Popen[bytes] | None = None

    def _as_account(self) -> dict[str, Any]:
        groups: list[int] = []
        mine = self.account.uid is None
        return {} if mine else {"user": self.account.uid, "group": self.account.gid, "extra_groups": groups}

    def make(self) -> None:
        self.folder.mkdir()
        if self.account.uid is not None and self.account.gid is not None:
            os.chown(self.folder, self.account.uid, self.account.gid)
        command = [
            str(self.binaries / "initdb"),
            "-D",
            str(self.folder),
            "-U",
            "shop",
            "-A",
            "trust",
            "--no-sync",
            "-N",
        ]
        subprocess.run(command, check=True, capture_output=True, cwd="/", **self._as_account())

    def start(self) -> None:
        (self.folder / "postmaster.pid").unlink(missing_ok=True)
        log = (self.folder.parent / f"{self.folder.name}.log").open("ab")
        command = [
            str(self.binaries / "postgres"),
            "-D",
            str(self.folder),
            "-p",
            str(self.port),
            "-k",
            "",
            "-h",
            "127.0.0.1",
        ]
        # shared memory in the data folder: nothing is left of it when the server is killed
        settings = ("shared_buffers=32MB", "max_connections=40", "dynamic_shared_memory_type=mmap")
        options = [part for setting in settings for part in ("-c", setting)]
        self.process = subprocess.Popen(
            [*command, *options], stdout=log, stderr=log, cwd="/", start_new_session=True, **self._as_account()
        )
        until(f"{self.folder.name} accepts connections", self.answers, 40)

    def answers(self) -> bool:
        async def ask() -> None:
            await (await asyncpg.connect(host="127.0.0.1", port=self.port, user="shop", database="postgres")).close()

        try:
            asyncio.run(ask())
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    def kill(self) -> None:
        """kill -9 of the server with all its backends, as a machine that loses power."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None


def make_folder() -> Path:
    """A folder that the servers' account can enter."""
    folder = Path(tempfile.mkdtemp(prefix="shop-money-"))
    folder.chmod(0o755)
    return folder


def remove_folder(folder: Path) -> None:
    """Take it away again."""
    shutil.rmtree(folder, ignore_errors=True)
