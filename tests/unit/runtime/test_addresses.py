"""Ports that are held."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from crashcart.model.errors import UsageError
from crashcart.runtimes.addresses import LOOPBACK, Reservations


@pytest.fixture
def held() -> Iterator[Reservations]:
    reservations = Reservations()
    yield reservations
    reservations.release()


def _listen(port: int, *, reuse: bool) -> socket.socket:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
        listener.bind((LOOPBACK, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def test_whom_it_is_meant_for_can_listen_on_a_held_port_again_and_again(held: Reservations) -> None:
    port = held.take()
    for _ in range(2):
        with _listen(port, reuse=True), socket.create_connection((LOOPBACK, port)):
            pass


def test_nobody_else_gets_a_held_port(held: Reservations) -> None:
    port = held.take()
    with pytest.raises(OSError, match="in use"):
        _listen(port, reuse=False)


def test_a_held_port_refuses_connections_while_nobody_listens(held: Reservations) -> None:
    port = held.take()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port))


def test_two_stacks_never_hold_the_same_port(held: Reservations) -> None:
    other = Reservations()
    try:
        mine, theirs = {held.take() for _ in range(200)}, {other.take() for _ in range(200)}
    finally:
        other.release()
    assert len(mine) == len(theirs) == 200
    assert not mine & theirs


def test_a_fixed_port_on_which_somebody_listens_is_one_clear_error(held: Reservations) -> None:
    with _listen(0, reuse=True) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(UsageError, match=f"orders-db.*port {port} of {LOOPBACK} is taken"):
            held.take_fixed(port, asked_by="orders-db[0]")


def test_a_fixed_port_that_is_free_is_held(held: Reservations, free_port: int) -> None:
    assert held.take_fixed(free_port, asked_by="orders-db[0]") == free_port
    with pytest.raises(OSError, match="in use"):
        _listen(free_port, reuse=False)


def test_a_fixed_port_in_use_a_moment_ago_is_free(held: Reservations, free_port: int) -> None:
    # whoever closes first keeps the port lingering for a minute
    with _listen(free_port, reuse=True) as listener:
        client = socket.create_connection((LOOPBACK, free_port))
        served, _ = listener.accept()
        served.close()
        assert client.recv(1) == b""
        client.close()
    assert held.take_fixed(free_port, asked_by="door[0]") == free_port


def test_what_is_released_is_free_for_all(held: Reservations) -> None:
    port = held.take()
    held.release()
    _listen(port, reuse=False).close()
