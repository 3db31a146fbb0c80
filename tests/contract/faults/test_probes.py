from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from crashcart.judging.looking import PROBES_PER_S, WHOLE_PER_S
from crashcart.judging.windows import PROBE_S
from crashcart.model.recording import ProbeSample
from crashcart.model.topology import ProxyAddress, Topology
from crashcart.probes import TIMEOUT_S, ProbeRunner
from crashcart.questions import EVERY_S, MOST_BYTES, WHOLE_EVERY_S, Question, verdict
from crashcart.runtimes.addresses import Reservations
from crashcart.tools import Toolbox, server_account
from tests.contract.safety.small_stack import SmallStack, wait_until


@pytest.fixture
def ports() -> Iterator[Reservations]:
    held = Reservations()
    yield held
    held.release()


def _free_address(ports: Reservations) -> str:
    return f"127.0.0.1:{ports.take()}"


def _topology(*proxies: ProxyAddress) -> Topology:
    return Topology("run", "/s", "/p", (), proxies, "", "")


def _proxy(name: str, listen: str, upstream: str, protocol: str = "http") -> ProxyAddress:
    return ProxyAddress(name, "a.b", listen, upstream, protocol)


@contextmanager
def _running(runner: ProbeRunner) -> Iterator[None]:
    runner.start()
    try:
        yield
    finally:
        runner.stop()


def _collect(
    topology: Topology, enough: Callable[[list[ProbeSample]], bool], whole: Collection[str] = ()
) -> list[ProbeSample]:
    samples: list[ProbeSample] = []
    names = [proxy.name for proxy in topology.proxies]
    with _running(ProbeRunner(topology, names, samples.append, time.monotonic(), whole)):
        wait_until(lambda: enough(list(samples)), 15.0)
    return samples


@contextmanager
def _server(argv: list[str], end: signal.Signals, **keywords: object) -> Iterator[None]:
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **keywords)  # type: ignore[call-overload]
    try:
        yield
    finally:
        process.send_signal(end)
        process.wait(20.0)


@contextmanager
def _listener(answer: bytes | None) -> Iterator[str]:
    """Accepts for ever; answers so and closes, or (None) never."""
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if answer is None:
                held.append(connection)
            else:
                with connection, suppress(OSError):
                    connection.recv(65_536)
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in held:
            connection.close()


def _make_the_account(address: str) -> None:
    """Every Postgres of a stack has a user and a database `shop`."""

    async def make() -> None:
        connection = await asyncpg.connect(f"postgresql://postgres@{address}/postgres")
        await connection.execute("CREATE ROLE shop LOGIN")
        await connection.execute("CREATE DATABASE shop")
        await connection.close()

    asyncio.run(make())


def test_servers_of_every_protocol_are_asked_in_their_own_words(
    small_stack: SmallStack, toolbox: Toolbox, tmp_path: Path, ports: Reservations
) -> None:
    account = server_account()
    postgres, valkey = _free_address(ports), _free_address(ports)
    # not below pytest's own folder: each session of pytest closes that to other accounts again, also another one's
    home = Path(tempfile.mkdtemp(prefix="crashcart-probed-"))
    home.chmod(0o755)
    data = home / "data"
    data.mkdir()
    if account.uid is not None:
        os.chown(data, account.uid, account.gid or 0)
    as_account = {"user": account.uid, "group": account.gid, "cwd": data}
    port = postgres.rpartition(":")[2]
    with ExitStack() as leaving:
        leaving.callback(shutil.rmtree, home)
        subprocess.run(
            [toolbox.postgres.path / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync"],
            check=True,
            capture_output=True,
            **as_account,  # type: ignore[call-overload]
        )
        argv = [str(toolbox.postgres.path / "postgres"), "-D", str(data), "-p", port, "-k", str(data)]
        # killed, Postgres would leave shared memory behind
        leaving.enter_context(_server(argv, signal.SIGQUIT, **as_account))
        argv = [str(toolbox.valkey.path), "--port", valkey.rpartition(":")[2], "--save", "", "--dir", str(tmp_path)]
        leaving.enter_context(_server(argv, signal.SIGTERM))
        shop = small_stack.topology.proxies[0]
        topology = _topology(
            _proxy("db", postgres, postgres, "postgres"),
            _proxy("cache", valkey, valkey, "valkey"),
            _proxy("shop", shop.listen, shop.upstream),
        )

        def all_well(samples: list[ProbeSample]) -> bool:
            well = {(one.proxy, one.side) for one in samples if one.ok}
            return len(well) == 6

        samples = _collect(topology, all_well)
        _make_the_account(postgres)
        long = _collect(topology, all_well, whole=("db", "cache", "shop"))
    sizes = {one.proxy: one.bytes for one in long if one.ok}
    assert sizes["db"] > 65_536
    assert sizes["cache"] > 32_768
    assert sizes["shop"] > 0
    assert not any(one.bytes for one in samples)
    assert all(0 < one.ms < 2000 for one in samples if one.ok)
    assert not any(one.error for one in samples if one.ok)


def test_samples_stand_on_a_grid_of_four_a_second_and_twins_at_the_same_moment(small_stack: SmallStack) -> None:
    samples = _collect(small_stack.topology, lambda some: len(some) >= 40)
    for proxy, offset in (("door[0].shop[0]", 0.0), ("door[0].shop[1]", 0.125)):
        times = {
            side: [one.t for one in samples if (one.proxy, one.side) == (proxy, side)] for side in ("through", "beside")
        }
        assert set(times["through"]) >= set(times["beside"][:-1])
        assert all(
            (t - offset) % 0.25 == pytest.approx(0.0, abs=1e-3) or (t - offset) % 0.25 > 0.249 for t in times["through"]
        )
        assert times["through"] == sorted(set(times["through"]))


def test_what_is_wrong_is_told_and_a_hanging_one_delays_no_other(ports: Reservations) -> None:
    with _listener(None) as hangs, _listener(b"HTTP/1.1 503 Busy\r\n\r\n") as refuses, _listener(b"") as closes:
        topology = _topology(
            _proxy("hangs", hangs, refuses),
            _proxy("closes", closes, _free_address(ports)),
            _proxy("odd", refuses, refuses, "valkey"),
        )
        samples = _collect(
            topology, lambda some: sum(one.proxy == "hangs" and one.side == "through" for one in some) >= 3
        )
    told = {(one.proxy, one.side): one for one in samples}
    assert not any(one.ok for one in samples)
    assert told["hangs", "through"].error == "timed out"
    assert told["hangs", "through"].ms == 2000
    assert told["hangs", "beside"].error == "status 503"
    assert told["closes", "through"].error == "closed without an answer"
    assert told["closes", "beside"].error == "Connection refused"
    assert told["odd", "through"].error == "HTTP/1.1 503 Busy"
    assert sum(one.proxy == "closes" and one.side == "through" for one in samples) >= 8


def test_an_answer_without_end_is_not_listened_to_for_ever(ports: Reservations) -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    with _listener(head + b"x" * 2 * MOST_BYTES) as endless, _listener(head + b"x" * 1000) as short:
        topology = _topology(_proxy("p", endless, short))
        samples = _collect(topology, lambda some: {one.side for one in some} == {"through", "beside"}, whole=("p",))
    told = {one.side: one for one in samples}
    assert told["through"].error == f"longer than {MOST_BYTES} bytes"
    assert MOST_BYTES < told["through"].bytes < 2 * MOST_BYTES
    assert (told["beside"].ok, told["beside"].bytes) == (True, 1000 + len(head))


def test_nothing_is_probed_where_nothing_is_watched() -> None:
    samples: list[ProbeSample] = []
    with _running(ProbeRunner(_topology(), (), samples.append, time.monotonic())):
        pass
    assert samples == []


def test_a_runner_that_never_started_stops() -> None:
    ProbeRunner(_topology(), (), lambda _: None, 0.0).stop()


@pytest.mark.parametrize(
    ("protocol", "heard", "said"),
    [
        ("http", b"HTTP/1.1 200 OK\r\n", ""),
        ("http", b"HTTP/1.0 204 No", ""),
        ("http", b"HTTP/1.1 2", None),
        ("http", b"HTTP/1.1 500 No", "status 500"),
        ("postgres", b"N", ""),
        ("postgres", b"S", ""),
        ("postgres", b"E\0\0", "answered b'E'"),
        ("valkey", b"+PONG\r\n", ""),
        ("valkey", b"-LOADING wait\r\n", "-LOADING wait"),
    ],
)
def test_answers_are_told_apart(protocol: str, heard: bytes, said: str | None) -> None:
    assert verdict(Question("p", "through", ("", 0), protocol, b""), heard) == said


WHOLE_HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n"
LET_IN = b"R\0\0\0\x08\0\0\0\0"
READY = b"Z\0\0\0\x05I"


@pytest.mark.parametrize(
    ("protocol", "heard", "so_far", "at_last"),
    [
        ("http", WHOLE_HTTP, "", ""),
        ("http", WHOLE_HTTP[:-1], None, "cut short after 41 bytes"),
        ("http", WHOLE_HTTP[:30], None, "cut short after 30 bytes"),
        ("http", b"", None, "closed without an answer"),
        ("http", CHUNKED, "", ""),
        ("http", CHUNKED[:-5], None, "cut short after 56 bytes"),
        ("http", b"HTTP/1.0 200 OK\r\n\r\nuntil it closes", None, ""),
        ("http", b"HTTP/1.1 404 Not Found\r\n", "status 404 to GET /metrics", "status 404 to GET /metrics"),
        ("postgres", LET_IN + READY + b"D\0\0\0\x08four" + READY, "", ""),
        ("postgres", LET_IN + READY + b"D\0\0\0\x08fo", None, "cut short after 22 bytes"),
        ("postgres", LET_IN + READY, None, "cut short after 15 bytes"),
        ("postgres", b"R\0\0\0\x08\0\0\0\x03", "wants a password", "wants a password"),
        ("postgres", b"E\0\0\0\x11SFATAL\0Mfull\0\0", "full", "full"),
        ("postgres", b"H\0\0\0\0", "answered b'H'", "answered b'H'"),
        ("valkey", b"$4\r\nfour\r\n", "", ""),
        ("valkey", b"$4\r\nfour", None, "cut short after 8 bytes"),
        ("valkey", b"-LOADING wait\r\n", "-LOADING wait", "-LOADING wait"),
    ],
)
def test_a_whole_answer_is_over_with_its_last_byte(
    protocol: str, heard: bytes, so_far: str | None, at_last: str
) -> None:
    question = Question("p", "through", ("", 0), protocol, b"", whole=True)
    assert verdict(question, heard) == so_far
    assert verdict(question, heard, ended=True) == at_last


def test_the_judge_knows_how_often_probes_ask() -> None:
    assert (1 / EVERY_S, 1 / WHOLE_EVERY_S, TIMEOUT_S) == (PROBES_PER_S, WHOLE_PER_S, PROBE_S)
