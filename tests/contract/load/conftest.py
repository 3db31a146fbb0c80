"""A small shop and a load, each a real process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
SMALL_SHOP = Path(__file__).with_name("small_shop.py")
WITHIN_S = 30.0


def port_that_was_free() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def call(method: str, url: str, body: object = None) -> tuple[int, bytes]:
    """One request; what the server said, whatever it said. ConnectionError where it did not answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except urllib.error.URLError as error:
        raise ConnectionError(str(error.reason)) from error


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for something to come true; fail with its name where it does not."""
    give_up_at = time.monotonic() + WITHIN_S
    while True:
        try:
            if true():
                return
        except ConnectionError as error:
            what = f"{what} ({error})"
        if time.monotonic() > give_up_at:
            pytest.fail(f"waited {WITHIN_S:g} s in vain: {what[:400]}")
        time.sleep(0.02)


class Process:
    """A process of the test's own; ended with it, by its id."""

    def __init__(self, argv: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                [str(part) for part in argv],
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def alive(self) -> bool:
        return self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def exit_status(self) -> int:
        return self.process.wait(timeout=WITHIN_S)

    def end(self) -> None:
        if self.alive():
            self.process.kill()
        self.process.wait(timeout=WITHIN_S)


class SmallShop(Process):
    def __init__(self, port: int, mode: str, log: Path) -> None:
        super().__init__([sys.executable, SMALL_SHOP, str(port), mode], log)
        self.url = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        assert self.alive(), self.said
        return call("GET", f"{self.url}/")[0] == 200

    def seen(self) -> dict[str, int]:
        keys: dict[str, int] = json.loads(call("GET", f"{self.url}/seen")[1])
        return keys


class Load(Process):
    """The load as the harness starts it."""

    def __init__(self, tmp_path: Path, target: str, under: Sequence[str | Path] = (), **changes: Any) -> None:
        """`under`: a program that starts the load as its child; the load's command follows its own arguments."""
        self.out = tmp_path / "recording"
        self.port = port_that_was_free()
        self.assignment = {
            "format": "crashcart/load/v1",
            "target": target,
            "control_address": f"127.0.0.1:{self.port}",
            "out": str(self.out),
            "phases": [
                {"name": "warmup", "start_s": 0.0, "end_s": 0.5},
                {"name": "baseline", "start_s": 0.5, "end_s": 2.0},
            ],
            "profile": "steady",
            "peak_per_s": 12.0,
            "seed": 7,
            "settings": {},
            **changes,
        }
        file = tmp_path / "load.json"
        file.write_text(json.dumps(self.assignment))
        super().__init__([*under, *command()], tmp_path / "load.log", {"CRASHCART_LOAD": str(file)})

    def call(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        assert self.alive(), self.said
        return call(method, f"http://127.0.0.1:{self.port}{path}", body)

    def status(self) -> dict[str, Any]:
        answered: dict[str, Any] = json.loads(self.call("GET", "/status")[1])
        return answered

    def wait_ready(self) -> None:
        until(lambda: self.call("GET", "/readyz")[0] == 200, "the load is ready")

    def start(self) -> None:
        self.wait_ready()
        assert self.call("POST", "/start", {"t0_monotonic": time.monotonic() + 0.05})[0] == 200

    def wait_state(self, state: str) -> None:
        until(lambda: self.status()["state"] == state, f"the load is {state}")

    def records(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.out / name).read_bytes().splitlines()]

    def metrics(self) -> dict[str, float]:
        lines = self.call("GET", "/metrics")[1].decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def command() -> list[str]:
    """The command of load.yaml, as the harness fills it in."""
    import yaml

    declared = yaml.safe_load((ROOT / "loadtests" / "load.yaml").read_text())["command"]
    return [part.replace("{python}", sys.executable) for part in declared]


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    started: list[Process] = []
    yield started
    for process in reversed(started):
        process.end()


@pytest.fixture
def open_shop(tmp_path: Path, processes: list[Process]) -> Callable[[str], SmallShop]:
    """Open a small shop in some mode; it is up when this returns."""

    def opened(mode: str = "works", port: int | None = None) -> SmallShop:
        shop = SmallShop(port or port_that_was_free(), mode, tmp_path / "shop.log")
        processes.append(shop)
        until(shop.ready, "the small shop is up")
        return shop

    return opened


@pytest.fixture
def start_load(tmp_path: Path, processes: list[Process]) -> Callable[..., Load]:
    """Start the load against a target; more keywords change its assignment."""

    def started(target: str, **changes: Any) -> Load:
        load = Load(tmp_path, target, **changes)
        processes.append(load)
        return load

    return started
