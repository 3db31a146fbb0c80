"""Somebody who reads the books can be asked to leave at any moment, and leaves nothing half made."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from crashcart.books import read_books, wait_quiesced
from crashcart.model.topology import Topology
from crashcart.model.truth import Quiesce, Source, Truth
from crashcart.running.interrupts import Interrupted, Interrupts
from tests.unit.running.any_moment import MOMENTS, asked_at_any_moment

AT_REST = Truth(sources={}, quiesce=Quiesce(5.0, {}), invariants=())
ORDERS = Source(database="orders-db", sql="SELECT 1", columns={"n": "INTEGER"})


class Shelf:
    topology = Topology("run", "", "", (), (), "", "")

    def __init__(self, address: str = "") -> None:
        self._address = address

    def file(self, instance: str, name: str) -> Path:
        raise AssertionError("there is none")

    def database_address(self, service: str) -> str:
        return self._address


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A database that takes every connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql://nobody@127.0.0.1:{server.getsockname()[1]}/orders?sslmode=disable"


def test_a_server_that_hangs_does_not_keep_anybody(silent_server: str, tmp_path: Path) -> None:
    interrupts = Interrupts()
    truth = Truth(sources={"orders": ORDERS}, quiesce=Quiesce(5.0, {}), invariants=())
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with interrupts.handled(), pytest.raises(Interrupted), interrupts.raising():
        read_books(truth, Shelf(silent_server), tmp_path, interrupts)
    assert time.monotonic() - began < 3.0, "longer than a look; connecting alone may take five"


def test_who_leaves_leaves_no_half_copied_table_in_the_recording(tmp_path: Path) -> None:
    interrupts = Interrupts()
    truth = Truth(sources={"orders": ORDERS}, quiesce=Quiesce(5.0, {}), invariants=())
    (tmp_path / ".paid.csv").write_text("n\n1\n")
    (tmp_path / ".spill").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def leave_once_it_is_asked() -> None:
            connection, _ = server.accept()
            with connection:
                os.kill(os.getpid(), signal.SIGINT)
                connection.recv(1 << 16)

        asked = threading.Thread(target=leave_once_it_is_asked)
        asked.start()
        address = f"postgresql://nobody@127.0.0.1:{server.getsockname()[1]}/orders?sslmode=disable"
        with interrupts.handled(), pytest.raises(Interrupted), interrupts.raising():
            read_books(truth, Shelf(address), tmp_path, interrupts)
        asked.join()
    assert list(tmp_path.iterdir()) == []


def test_who_left_once_and_reports_is_made_to_leave_by_the_second_request(silent_server: str) -> None:
    interrupts = Interrupts()
    interrupts.ask("SIGINT")
    truth = Truth(sources={}, quiesce=Quiesce(30.0, {"orders": ORDERS}), invariants=())
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with interrupts.handled(), pytest.raises(Interrupted), interrupts.raising(heard=1):
        wait_quiesced(truth, Shelf(silent_server), interrupts)
    assert time.monotonic() - began < 3.0


def test_a_request_between_any_two_steps_leaves_nothing_half_made(capfd: pytest.CaptureFixture[str]) -> None:
    """Half an event loop says so on standard error when it is collected, and so does a coroutine nobody awaited."""
    left = 0
    for interrupts in asked_at_any_moment(partial(wait_quiesced, AT_REST, Shelf())):
        left += interrupts.broke_off
    gc.collect()
    assert left > MOMENTS / 4
    assert capfd.readouterr().err == ""
