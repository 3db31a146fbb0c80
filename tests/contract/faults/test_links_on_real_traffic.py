"""What a client with a pooled, kept-alive connection feels of each fault on its link, and what it costs in time."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crashcart.faults import decode_settings, registry
from crashcart.model.fault import Step
from crashcart.model.plan import Effect, PlannedFault, Slices
from crashcart.ports import FaultKind
from crashcart.runtimes.addresses import Reservations
from crashcart.safety.faultlog import FaultLog
from crashcart.safety.injector import Injector
from crashcart.safety.worlds import DetachedWorld
from crashcart.toxiproxy import Toxiproxy
from tests.bench.bounds import by_chance
from tests.contract.safety.small_stack import SmallStack, broken, planned, wait_until

PAGE_BYTES = 40_000
PATIENCE_S = 2.0
PROXY = "door[0].pool[0]"
TRIES = 5


class _Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    """Head and page leave together: each piece for itself would be delayed by a time of its own."""

    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        self.server.heard += 1
        page = b"x" * (PAGE_BYTES if self.path == "/long" else 2)
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *args: object) -> None:
        """Nothing."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    heard = 0
    """Connections that were made and requests that came."""

    def get_request(self) -> tuple[socket.socket, object]:
        self.heard += 1
        return super().get_request()

    def handle_error(self, request: object, client_address: object) -> None:
        """Cut connections are what is tested here."""


@dataclass
class Client:
    """One pooled connection, made anew where it was lost."""

    host: str
    port: int
    server: _Server
    connection: http.client.HTTPConnection | None = None

    def get(self, path: str = "/") -> int:
        """Bytes of the answer. OSError or HTTPException where there is none, or half of one."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE_S)
        try:
            self.connection.request("GET", path)
            return len(self.connection.getresponse().read())
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def ms(self) -> float:
        began = time.monotonic()
        self.get()
        return (time.monotonic() - began) * 1000

    def kb_s(self) -> float:
        began = time.monotonic()
        return self.get("/long") / (time.monotonic() - began) / 1000

    def well(self) -> bool:
        try:
            return self.get() == 2
        except (OSError, http.client.HTTPException):
            return False

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None


@pytest.fixture
def client(small_stack: SmallStack) -> Iterator[Client]:
    """Behind a proxy of the stack's Toxiproxy, with a connection that has been used already."""
    held = Reservations()
    server = _Server(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    port = held.take()
    upstream = f"127.0.0.1:{server.server_address[1]}"
    Toxiproxy(small_stack.topology.toxiproxy_api).create_proxy(PROXY, f"127.0.0.1:{port}", upstream)
    made = Client("127.0.0.1", port, server)
    try:
        assert made.get() == 2
        yield made
    finally:
        made.close()
        server.shutdown()
        server.server_close()
        thread.join()
        held.release()


@contextmanager
def _done(stack: SmallStack, kind: str, *, slices: Slices = (), **settings: Any) -> Iterator[tuple[FaultKind, Step]]:
    fault = registry()[f"toxiproxy/{kind}"]
    raw = {"link": "door.shop", **settings}
    made = PlannedFault("f1", fault.kind, raw, "", (PROXY,), (), (), 0.0, 60.0, Effect("none"), slices=slices)
    step = fault.steps(decode_settings(fault, raw), made, stack.topology)[0]
    step = msgspec.json.decode(msgspec.json.encode(step), type=Step)
    fault.apply(step, stack)
    try:
        yield fault, step
    finally:
        fault.undo(step, stack)


def _heard_on(connection: socket.socket) -> bytes:
    """What still comes, to its end."""
    heard = b""
    with contextlib.suppress(ConnectionError):
        while some := connection.recv(1 << 16):
            heard += some
    return heard


def _fails(client: Client, *errors: type[Exception], path: str = "/") -> None:
    with pytest.raises(errors):
        client.get(path)


def test_a_request_on_a_pooled_connection_is_swallowed(small_stack: SmallStack, client: Client) -> None:
    for direction in ("downstream", "upstream"):
        with _done(small_stack, "timeout", direction=direction):
            _fails(client, TimeoutError)
        wait_until(client.well)


def test_a_swallowing_link_closes_when_its_time_is_over(small_stack: SmallStack, client: Client) -> None:
    with _done(small_stack, "timeout", timeout="100ms"):
        _fails(client, http.client.RemoteDisconnected, ConnectionError)
    assert client.well()


def test_pooled_connections_are_cut_by_a_reset_and_new_ones_are_reset(small_stack: SmallStack, client: Client) -> None:
    with _done(small_stack, "reset"):
        _fails(client, http.client.RemoteDisconnected, ConnectionError)
        for _ in range(3):
            _fails(client, ConnectionResetError)
    assert client.well()


def test_a_reset_comes_as_late_as_was_set(small_stack: SmallStack, client: Client) -> None:
    with _done(small_stack, "reset", after="400ms"):
        _fails(client, http.client.RemoteDisconnected, ConnectionError)
        began = time.monotonic()
        _fails(client, ConnectionResetError)
        assert time.monotonic() - began >= 0.4
    assert client.well()


@pytest.mark.parametrize("direction", ["downstream", "upstream"])
@pytest.mark.parametrize("latency_ms", [20, 60, 300])
def test_a_slow_link_has_the_declared_latency(
    small_stack: SmallStack, client: Client, latency_ms: int, direction: str
) -> None:
    off_by_ms = max(0.1 * latency_ms, 2.0)
    without_ms = min(client.ms() for _ in range(5 * TRIES))
    with _done(small_stack, "latency", latency=f"{latency_ms}ms", direction=direction):
        added_ms: list[float] = []
        # a busy machine makes a request late and never early: so none may be too early, and the best not too late
        while len(added_ms) < 2 * TRIES or (min(added_ms) > latency_ms + off_by_ms and len(added_ms) < 10 * TRIES):
            added_ms.append(client.ms() - without_ms)
    assert latency_ms - off_by_ms <= min(added_ms) <= latency_ms + off_by_ms
    assert min(client.ms() for _ in range(10 * TRIES)) <= without_ms + off_by_ms


def test_a_link_that_is_slow_by_varying_times_varies_evenly_around_the_declared_latency(
    small_stack: SmallStack, client: Client
) -> None:
    draws, off_by_ms = 100, 6.0
    low_ms, high_ms = by_chance(60, 20, draws)
    added_ms: list[float] = []
    without_ms = min(client.ms() for _ in range(5 * TRIES))
    with _done(small_stack, "latency", latency="60ms", jitter="20ms"):
        for _ in range(3):  # where the machine was too busy for once
            added_ms = [client.ms() - without_ms for _ in range(draws)]
            if statistics.median(added_ms) <= high_ms + off_by_ms:
                break
    assert low_ms - off_by_ms <= statistics.median(added_ms) <= high_ms + off_by_ms
    assert 40 - off_by_ms <= min(added_ms) <= 44 + off_by_ms, "of a hundred, one is among the shortest tenth"
    assert max(added_ms) >= 76 - off_by_ms


def test_while_a_link_is_down_no_byte_passes_either_way(small_stack: SmallStack, client: Client) -> None:
    held = client.connection
    assert held is not None
    assert held.sock is not None
    with _done(small_stack, "down"):
        before = client.server.heard
        with contextlib.suppress(OSError):
            held.sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert _heard_on(held.sock) == b""
        for _ in range(TRIES):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((client.host, client.port), timeout=PATIENCE_S)
        assert client.server.heard == before
    client.close()
    wait_until(client.well)
    assert client.server.heard > before


@pytest.mark.parametrize("rate_kb_s", [100, 400])
def test_a_narrow_link_has_the_declared_rate(small_stack: SmallStack, client: Client, rate_kb_s: int) -> None:
    assert client.kb_s() > 2 * rate_kb_s
    with _done(small_stack, "bandwidth", rate_kb_s=rate_kb_s):
        rates = [client.kb_s() for _ in range(2 * TRIES)]
    # Toxiproxy makes up for a sleep that was too long in what it sends next: one answer may be faster, all of them not
    assert statistics.harmonic_mean(rates) <= 1.1 * rate_kb_s
    # and a busy machine makes an answer late: the best may not be too slow
    assert max(rates) >= 0.9 * rate_kb_s
    assert max(client.kb_s() for _ in range(TRIES)) > 2 * rate_kb_s


@pytest.mark.parametrize(("size", "variation", "delay"), [(1000, 0, "4ms"), (500, 200, "4ms"), (256, 0, "2ms")])
def test_a_slicing_link_is_no_faster_than_was_declared(
    small_stack: SmallStack, client: Client, size: int, variation: int, delay: str
) -> None:
    kind = registry()["toxiproxy/slicer"]
    raw: dict[str, Any] = {"size": size, "variation": variation, "delay": delay}
    at_most_kb_s = kind.effect(decode_settings(kind, {"link": "door.shop", **raw})).at_most_kb_s
    assert client.kb_s() > at_most_kb_s
    with _done(small_stack, "slicer", **raw):
        assert max(client.kb_s() for _ in range(TRIES)) <= at_most_kb_s
    assert client.well()


def test_an_answer_on_a_pooled_connection_breaks_off(small_stack: SmallStack, client: Client) -> None:
    with _done(small_stack, "limit-data", bytes=1000):
        assert client.get() == 2
        _fails(client, http.client.IncompleteRead, path="/long")
    assert client.get("/long") == PAGE_BYTES


@pytest.mark.parametrize("how", ["down", "timeout"])
def test_a_flaky_link_fails_in_its_slices_alone(small_stack: SmallStack, client: Client, how: str) -> None:
    failing: Callable[[], bool] = lambda: not client.well()  # noqa: E731
    with _done(small_stack, "flaky", share=0.5, how=how, slices=((0.0, 3.0), (6.0, 60.0))):
        wait_until(failing)
        wait_until(client.well)
        wait_until(failing)
    wait_until(client.well)


def test_a_flaky_link_that_another_process_has_mended_is_not_broken_again(
    small_stack: SmallStack, client: Client
) -> None:
    began = time.monotonic()
    with _done(small_stack, "flaky", share=0.5, slices=((0.0, 1.0), (2.0, 60.0))) as (fault, step):
        wait_until(lambda: not client.well())
        fault.undo(step, DetachedWorld(small_stack.topology))
        while time.monotonic() < began + 3.0:
            assert client.well()
    assert not Toxiproxy(small_stack.topology.toxiproxy_api).toxics(PROXY)


def test_a_flaky_link_ends_with_a_toxiproxy_that_was_started_again(small_stack: SmallStack) -> None:
    raw: dict[str, object] = {"link": "door.shop[1]", "share": 0.5}
    made = msgspec.structs.replace(planned("toxiproxy/flaky", raw), slices=((0.0, 1.0), (2.0, 60.0)))
    kind = registry()["toxiproxy/flaky"]
    step = kind.steps(decode_settings(kind, raw), made, small_stack.topology)[0]
    began = time.monotonic()
    kind.apply(step, small_stack)
    wait_until(lambda: f"{step.target} is off" in broken(small_stack.topology))
    small_stack.restart_toxiproxy()
    while time.monotonic() < began + 3.0:
        assert broken(small_stack.topology) == []
    kind.undo(step, small_stack)
    assert broken(small_stack.topology) == []


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("flaky", {"share": 0.5}),
        ("flaky", {"share": 0.5, "how": "timeout"}),
        ("reset", {"after": "1s"}),
        ("bandwidth", {"rate_kb_s": 1}),
    ],
)
def test_a_control_plane_that_hangs_keeps_no_fault_from_being_undone(
    small_stack: SmallStack, tmp_path: Path, kind: str, settings: dict[str, Any]
) -> None:
    restarted: list[str] = []

    def restart(why: str) -> None:
        restarted.append(why)
        small_stack.restart_toxiproxy()

    made = planned(f"toxiproxy/{kind}", {"link": "door.shop", **settings})
    made = msgspec.structs.replace(made, slices=((0.0, 2.0), (3.0, 60.0)) if kind == "flaky" else ())
    injector = Injector(FaultLog(tmp_path / "log"), small_stack, registry(), on_control_plane_hung=restart)
    injector.inject(made, small_stack.topology, time.monotonic() + 60.0)
    small_stack.signal("toxiproxy", signal.SIGSTOP)
    assert injector.undo_all() == ()
    assert len(restarted) == 1
    assert broken(small_stack.topology) == []


def test_clients_that_wait_for_their_reset_do_not_hold_up_the_undo(small_stack: SmallStack, client: Client) -> None:
    waiting = [Client(client.host, client.port, client.server) for _ in range(8)]
    with _done(small_stack, "reset", after="1s"):
        threads = [threading.Thread(target=one.well) for one in waiting]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    wait_until(client.well)
    for one in waiting:
        one.close()
