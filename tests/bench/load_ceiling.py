"""How much one process of the load can send, beside stock Locust that sends the same in the same minute.

Both run on one core, with the target on another: stock in a tight loop, ours by its schedule. What counts is requests
for each second of CPU that they get, since neighbours take time away from both, and not in equal parts. Trials take
turns, and the ratio is the median of the pairs'. Ours also draws its shoppers from seeds, has each intent on disk
before it is sent, and counts by cohort, phase and intended time; both send the same requests and check the answers.
"""

from __future__ import annotations

import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from crashcart.loadcontrol import LoadClient

ROOT = Path(__file__).parents[2]
TRIALS = 3
LASTS_S = 5.0
SETTLED_AFTER = 3_000
REQUESTS_PER_S = 5_000.0
"""What ours is asked for: two thirds of what it can do on a quiet core, and more than stock can."""
WANTED = 1.5
_USERS = 50
_MIX = {
    "pages": [0.35, 0.35, 0.20, 0.10],
    "first_page": {"product": 1.0, "search": 0.0, "home": 0.0},
    "lines": [1.0],
    "quantity": [1.0],
    "think_s": {"page": 0.0, "cart": 0.0, "checkout": 0.0, "most": 0.8},
    "double_click": {"share": 0.0, "after_s": 0.03},
}


class Ceiling(msgspec.Struct, frozen=True):
    """Requests for a second of CPU, by trial, and the ratio of ours to stock's."""

    ours_per_s: tuple[float, ...]
    stock_per_s: tuple[float, ...]
    ratio: float


def load_ceiling(root: Path) -> Ceiling:
    """Measure it: about a minute."""
    with tempfile.TemporaryDirectory(prefix="crashcart-bench-") as made, _target(root) as port:
        folder = Path(made)
        load_yaml = _with_one_line(root, folder)
        ours, stock = [], []
        for _ in range(TRIALS):
            stock.append(_stock(root, port))
            ours.append(_ours(root, folder, load_yaml, port))
        ratios = [mine / other for mine, other in zip(ours, stock, strict=True)]
        return Ceiling(
            tuple(round(one) for one in ours), tuple(round(one) for one in stock), round(statistics.median(ratios), 2)
        )


def ceiling_rows(ceiling: Ceiling) -> list[tuple[str, str, str]]:
    """(what, measured, wanted) for people."""
    ours, stock = statistics.median(ceiling.ours_per_s), statistics.median(ceiling.stock_per_s)
    told = f"{ceiling.ratio:.2f} × ({ours:,.0f} and {stock:,.0f} requests for a second of CPU)"
    return [("load process beside stock FastHttpUser, each on one core", told, f"≥ {WANTED:g} ×")]


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
def _target(root: Path) -> Iterator[int]:
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


def _with_one_line(root: Path, folder: Path) -> Path:
    """The shop's own load, on a shelf of one product."""
    program = msgspec.yaml.decode((root / "loadtests" / "load.yaml").read_bytes())
    program["cohorts"]["business_line"] = {"general": 1.0}
    path = folder / "load.yaml"
    path.write_bytes(msgspec.yaml.encode(program))
    return path


_LOCUSTFILE = """
from pathlib import Path
from loadtests import locustfile

class Shopper(locustfile.Shopper):
    load_file = Path(%r)
"""


def _ours(root: Path, folder: Path, load_yaml: Path, port: int) -> float:
    """Requests for a second of CPU."""
    control, out = f"127.0.0.1:{_free_port()}", folder / f"out-{time.monotonic_ns()}"
    program = msgspec.yaml.decode(load_yaml.read_bytes())
    share, events = program["purchase_share"], program["events_per_session"]
    per_session = events["browse"] + 1 + share
    assignment = {
        "format": "crashcart/load/v1",
        "target": f"http://127.0.0.1:{port}",
        "control_address": control,
        "out": str(out),
        "phases": [{"name": "run", "start_s": 0.0, "end_s": 60.0}],
        "profile": "steady",
        "peak_per_s": REQUESTS_PER_S / per_session * share,
        "seed": 1,
        "settings": {"mix": _MIX},
    }
    file, locustfile = folder / "load.json", folder / "locustfile.py"
    file.write_bytes(msgspec.json.encode(assignment))
    locustfile.write_text(_LOCUSTFILE % str(load_yaml), encoding="utf-8")
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


def _stock(root: Path, port: int) -> float:
    command = [
        *_locust(root / "tests" / "bench" / "stock_locustfile.py"),
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


if __name__ == "__main__":
    for row in ceiling_rows(load_ceiling(ROOT)):
        print("  ".join(row))  # noqa: T201 - that is what it is for
