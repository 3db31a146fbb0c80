from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import gevent
import pytest

from crashcart.loadkit.answers import Answer, Request
from crashcart.loadkit.transport import HttpTransport
from crashcart.model.errors import UsageError
from tests.contract.load.wire import Behaviour, keeps_saying, request_read, says, wire

PAGE = Request("GET", "/page", "/page")
ORDER = Request("POST", "/orders", "/orders", b'{"a":1}', (("Idempotency-Key", "k-1"),))
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def ask(behaviour: Behaviour, request: Request = PAGE, timeout_s: float = 5.0, body_max_bytes: int = 1 << 20) -> Answer:
    with wire(behaviour) as server:
        transport = HttpTransport(server.target)
        try:
            return transport.exchange(request, timeout_s, body_max_bytes)
        finally:
            transport.close()


def reset(connection: socket.socket) -> None:
    request_read(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ((WHOLE,), b"{}"),
        ((WHOLE[:20], WHOLE[20:70], WHOLE[70:]), b"{}"),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"), b"abcde"),
        ((b"HTTP/1.0 200 OK\r\n\r\nuntil the end",), b"until the end"),
        ((b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",), b"until the end"),
        ((b"HTTP/1.1 103 Early Hints\r\n\r\n", WHOLE), b"{}"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",), b""),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), b""),
    ],
)
def test_a_whole_answer_is_read_in_full_however_it_is_framed(parts: tuple[bytes, ...], body: bytes) -> None:
    answer = ask(says(*parts))
    assert (answer.broke, answer.body) == ("", body)
    assert answer.status in (200, 204)


@pytest.mark.parametrize(
    ("parts", "broke"),
    [
        ((), "reset"),
        ((b"HTTP/1.1 200 OK\r\nContent-Le",), "reset"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of i",), "reset"),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",), "reset"),
        ((b"SSH-2.0-OpenSSH_9.6\r\n\r\n",), "garbled"),
        ((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",), "garbled"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",), "garbled"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",), "garbled"),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",), "garbled"),
        ((b"HTTP/1.1 99999 What\r\n\r\n",), "garbled"),
    ],
)
@pytest.mark.parametrize("request_", [PAGE, ORDER])
def test_an_answer_that_is_none_may_have_been_preceded_by_the_deed(
    parts: tuple[bytes, ...], broke: str, request_: Request
) -> None:
    answer = ask(says(*parts), request_)
    assert (answer.broke, answer.sent) == (broke, True)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 \xff\xfe\r\nContent-Length: 2\r\nX-A: \xc3\x28\xff\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Type: \xf0\x9f\x9b\x92\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n: nameless\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX-Null: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_odd_heads_never_raise(head: bytes) -> None:
    assert ask(says(head)).broke in ("", "garbled")


def test_a_reset_connection_leaves_the_deed_unknown() -> None:
    answer = ask(reset, ORDER)
    assert (answer.broke, answer.sent) == ("reset", True)


def test_where_nobody_listens_nothing_was_sent(free_port: int) -> None:
    answer = HttpTransport(f"http://127.0.0.1:{free_port}").exchange(ORDER, 5.0)
    assert (answer.broke, answer.sent) == ("refused", False)


def test_an_answer_larger_than_the_bound_is_cut_off() -> None:
    length = 3 << 20
    answer = ask(says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length, b"x" * length))
    assert (answer.status, answer.broke, answer.body) == (200, "too-large", b"")


def test_endless_bodies_and_endless_heads_are_cut_off() -> None:
    def endless(beginning: bytes, more: bytes) -> Behaviour:
        def behaviour(connection: socket.socket) -> None:
            request_read(connection)
            connection.sendall(beginning)
            while True:
                connection.sendall(more)

        return behaviour

    assert ask(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536)).broke == "too-large"
    assert ask(endless(b"HTTP/1.1 200 OK\r\n", b"X-More: of it\r\n" * 4096)).broke == "too-large"
    assert ask(endless(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)).broke in (
        "too-large",
        "garbled",
    )


def test_time_is_counted_over_the_whole_answer_not_from_byte_to_byte() -> None:
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        request_read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not stop.wait(0.02):
            connection.sendall(b"x")

    answer = ask(drip, timeout_s=0.3)
    stop.set()
    assert (answer.broke, answer.sent) == ("timeout", True)


def busy(for_s: float) -> None:
    """Keep this thread, and so gevent's loop, from doing anything else."""
    until_s = time.monotonic() + for_s
    while time.monotonic() < until_s:
        pass


def test_patience_is_counted_from_the_sending_however_busy_the_loop_was_before_it() -> None:
    def asking(transport: HttpTransport) -> tuple[str, float]:
        gevent.sleep(0.01)
        busy(0.3)
        sent_s = time.monotonic()
        broke = transport.exchange(PAGE, 0.4).broke
        return broke, time.monotonic() - sent_s

    with wire(lambda connection: time.sleep(2.0)) as server:
        broke, took_s = gevent.spawn(asking, HttpTransport(server.target)).get(timeout=10)
    assert broke == "timeout"
    assert took_s >= 0.4


def test_an_answer_that_came_in_time_is_read_even_if_this_process_was_late_to_look() -> None:
    came = threading.Event()

    def soon(connection: socket.socket) -> None:
        request_read(connection)
        came.set()
        time.sleep(0.1)
        connection.sendall(WHOLE)

    with wire(soon) as server:
        asking = gevent.spawn(HttpTransport(server.target).exchange, PAGE, 0.4)
        while not came.is_set():
            gevent.sleep(0.001)
        busy(0.8)
        assert asking.get(timeout=10).broke == ""


def test_a_kept_alive_connection_is_used_again_and_carries_one_request_at_a_time() -> None:
    with wire(keeps_saying(WHOLE)) as server:
        transport = HttpTransport(server.target)
        assert [transport.exchange(PAGE, 5.0).status for _ in range(20)] == [200] * 20
        assert (server.connections, transport.opened) == (1, 1)
        both = [gevent.spawn(transport.exchange, PAGE, 5.0) for _ in range(5)]
        assert [one.get().status for one in both] == [200] * 5
        assert server.connections == transport.opened <= 6
        transport.close()


@pytest.fixture
def closing_in_between() -> Iterator[tuple[HttpTransport, threading.Event]]:
    closed = threading.Event()

    def once(connection: socket.socket) -> None:
        request_read(connection)
        connection.sendall(WHOLE)
        connection.shutdown(socket.SHUT_WR)
        closed.set()

    with wire(once) as server:
        transport = HttpTransport(server.target)
        yield transport, closed
        transport.close()


def test_a_connection_that_the_server_closed_while_idle_costs_nobody_a_request(
    closing_in_between: tuple[HttpTransport, threading.Event],
) -> None:
    transport, closed = closing_in_between
    for _ in range(5):
        closed.clear()
        assert transport.exchange(ORDER, 5.0).status == 200
        assert closed.wait(5)
    assert transport.opened == 5


def test_an_answer_nobody_asked_for_is_never_taken_for_the_next_ones() -> None:
    spoke = threading.Event()

    def out_of_turn(connection: socket.socket) -> None:
        request_read(connection)
        connection.sendall(WHOLE)
        connection.sendall(WHOLE.replace(b"{}", b"[]"))
        spoke.set()
        request_read(connection)

    with wire(out_of_turn) as server:
        transport = HttpTransport(server.target)
        assert transport.exchange(PAGE, 5.0).body == b"{}"
        assert spoke.wait(5)
        assert transport.exchange(PAGE, 5.0).body == b"{}"
        transport.close()


def test_what_is_sent_is_what_was_meant() -> None:
    seen: list[bytes] = []

    def listen(connection: socket.socket) -> None:
        seen.append(request_read(connection))
        connection.sendall(WHOLE)

    with wire(listen) as server:
        HttpTransport(server.target).exchange(ORDER, 5.0)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /orders HTTP/1.1"
    assert b"Host: 127.0.0.1:%d" % server.port in lines
    assert b"Idempotency-Key: k-1" in lines
    assert b"Content-Length: 7" in lines
    assert body == b'{"a":1}'


@pytest.mark.parametrize("target", ["https://127.0.0.1:1", "127.0.0.1:80", "http://", "http://127.0.0.1:port"])
def test_a_target_that_is_none_is_refused(target: str) -> None:
    with pytest.raises(UsageError, match="target"):
        HttpTransport(target)
