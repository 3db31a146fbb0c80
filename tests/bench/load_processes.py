"""The processes that are measured at the load's ceiling: the target, ours, and stock Locust.

Target and load have a core each. `…_requests_per_cpu_s` is what the target answered, for each second of CPU that the
load's process took for it.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil

from crashcart.loadcontrol import LoadClient

LASTS_S = 4.0
SETTLED_AFTER = 3_000
REQUESTS_PER_S = 4_000.0
"""What ours is asked for, which its core can give with neighbours about. At its ceiling a request costs no more: those
that are ready together are then served together."""
_USERS = 50
_MIX = {
    "pages": [0.35, 0.35, 0.20, 0.10],
    "first_page": {"product": 1.0, "search": 0.0, "home": 0.0},
    "lines": [1.0],
    "quantity": [1.0],
    "think_s": {"page": 0.0, "cart": 0.0, "checkout": 0.0, "most": 0.8},
    "double_click": {"share": 0.0, "after_s": 0.03},
    "products": 1,
}
_HARDLY_ANY = 0.0001
"""Of those who look at one page, who then order: a load without purchases is not one of ours."""

_SHOP = """
from pathlib import Path
from loadtests import locustfile

class Shopper(locustfile.Shopper):
    load_file = Path(%r)
"""
_ONE_PAGE = """
from pathlib import Path
from crashcart.loadkit.locusts import OpenLoopUser
from crashcart.loadkit.plain import PlainBehaviour, PlainShop

SHOP = PlainShop(
    order=lambda _shopper: {},
    order_id=lambda answer: answer["order_id"],
    total_cents=1999,
    page_path="/products/G00001",
)

class Shopper(OpenLoopUser):
    load_file = Path(%r)

    @classmethod
    def behaviour(cls, program, settings):
        return PlainBehaviour(SHOP)
"""


def _pin(process: subprocess.Popen[bytes], core: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(process.pid, {cores[core]})


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def static_target(root: Path) -> Iterator[int]:
    port = _free_port()
    command = [sys.executable, "-m", "tests.bench.static_target", str(port)]
    target = subprocess.Popen(command, cwd=root)
    _pin(target, 1)
    try:
        _until_open(port)
        yield port
    finally:
        target.terminate()
        target.wait()


def _until_open(port: int) -> None:
    ends = time.monotonic() + 10.0
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)
        else:
            return


def shop_requests_per_cpu_s(root: Path, folder: Path, port: int) -> float:
    """Ours with the shop's own load, on a shelf of one product and without time to think."""
    program = _program(root)
    program["cohorts"]["business_line"] = {"general": 1.0}
    events, share = program["events_per_session"], program["purchase_share"]
    sessions_per_s = REQUESTS_PER_S / (events["browse"] + 1 + share)
    return _ours(root, folder, port, program, _SHOP, sessions_per_s * share, {"mix": _MIX})


def page_requests_per_cpu_s(root: Path, folder: Path, port: int) -> float:
    """Ours with shoppers who each come for one page, in the shop's own cohorts."""
    declared = _program(root)
    program = {name: declared[name] for name in ("apiVersion", "kind", "command", "cohorts")}
    program["purchase_share"] = _HARDLY_ANY
    return _ours(root, folder, port, program, _ONE_PAGE, REQUESTS_PER_S * _HARDLY_ANY, {})


def _program(root: Path) -> dict[str, Any]:
    program: dict[str, Any] = msgspec.yaml.decode((root / "loadtests" / "load.yaml").read_bytes())
    return program


def _ours(
    root: Path,
    folder: Path,
    port: int,
    program: dict[str, Any],
    template: str,
    peak_per_s: float,
    settings: dict[str, Any],
) -> float:
    control, out = f"127.0.0.1:{_free_port()}", folder / f"out-{time.monotonic_ns()}"
    load_yaml, file, locustfile = folder / "load.yaml", folder / "load.json", folder / "locustfile.py"
    load_yaml.write_bytes(msgspec.yaml.encode(program))
    locustfile.write_text(template % str(load_yaml), encoding="utf-8")
    assignment = {
        "format": "crashcart/load/v1",
        "target": f"http://127.0.0.1:{port}",
        "control_address": control,
        "out": str(out),
        "phases": [{"name": "run", "start_s": 0.0, "end_s": 60.0}],
        "profile": "steady",
        "peak_per_s": peak_per_s,
        "seed": 1,
        "settings": settings,
    }
    file.write_bytes(msgspec.json.encode(assignment))
    load = subprocess.Popen(
        [*_locust(locustfile), "--users", "1", "--spawn-rate", "1", "--only-summary"],
        cwd=root,
        env={**os.environ, "CRASHCART_LOAD": str(file), "PYTHONPATH": str(root)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _pin(load, 0)
    try:
        client = LoadClient(control)
        _until("the load is ready", lambda: client.ready() == "")
        client.start(time.monotonic() + 0.3)
        return _per_cpu_s(load, port)
    finally:
        load.kill()
        load.wait()


def stock_requests_per_cpu_s(root: Path, user: str, port: int) -> float:
    """Stock Locust, with this class of `stock_locustfile.py`."""
    command = [
        *_locust(root / "tests" / "bench" / "stock_locustfile.py"),
        user,
        "--host",
        f"http://127.0.0.1:{port}",
        "--json",
    ]
    command += ["--users", str(_USERS), "--spawn-rate", str(_USERS)]
    stock = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _pin(stock, 0)
    try:
        return _per_cpu_s(stock, port)
    finally:
        stock.kill()
        stock.wait()


def _per_cpu_s(load: subprocess.Popen[bytes], port: int) -> float:
    """Requests that the target answered, for each second of CPU that the load's process took for them."""
    first = _answered(port)
    _until("the load has settled in", lambda: _answered(port) > first + SETTLED_AFTER)
    process = psutil.Process(load.pid)
    answered, cpu_s = _answered(port), sum(process.cpu_times()[:2])
    time.sleep(LASTS_S)
    return (_answered(port) - answered) / (sum(process.cpu_times()[:2]) - cpu_s)


def _answered(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/answered")
        return int(connection.getresponse().read())
    finally:
        connection.close()


def _locust(locustfile: Path) -> list[str]:
    return [sys.executable, "-m", "locust", "-f", str(locustfile), "--headless", "--loglevel", "ERROR"]


def _until(what: str, is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60.0
    while not is_so():
        if time.monotonic() > ends:
            raise AssertionError(f"not within a minute: {what}")
        time.sleep(0.1)
