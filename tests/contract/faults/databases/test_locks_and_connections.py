"""Tables that are locked and connections that are taken, on a real Postgres with clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from crashcart.faults import database_connections, database_lock
from crashcart.faults.database_sessions import DatabaseRefused, DatabaseUnreachable, get_in
from crashcart.model.errors import CrashcartError
from crashcart.ports import World
from crashcart.runtimes.local_stack import LocalStack
from crashcart.runtimes.readiness import ask
from tests.contract.faults.databases.rig import (
    LOCK,
    SLOTS,
    MakeFault,
    client,
)
from tests.contract.safety.small_stack import wait_until


@pytest.mark.parametrize(
    ("mode", "reads", "locks_rows"),
    [("ACCESS EXCLUSIVE", False, False), ("EXCLUSIVE", True, False), ("SHARE", True, True)],
)
def test_a_lock_keeps_out_those_that_its_mode_keeps_out(
    address: str, world: World, fault: MakeFault, mode: str, reads: bool, locks_rows: bool
) -> None:
    one = fault("database/lock", {**LOCK, "mode": mode})
    one.do(world)
    waited = "55P03"
    assert _said(address, "SELECT sold FROM stock WHERE id = 1") == ("" if reads else waited)
    assert _said(address, "SELECT sold FROM stock WHERE id = 1 FOR UPDATE") == ("" if locks_rows else waited)
    assert _said(address, "UPDATE stock SET sold = 1 WHERE id = 1") == waited
    assert _said(address, "SELECT said FROM notes WHERE id = 1") == ""
    one.undo(world)
    assert _said(address, "UPDATE stock SET sold = 0 WHERE id = 1") == ""


def _said(address: str, statement: str) -> str:
    """The SQLSTATE that a client is told, none where it gets what it wants."""
    with client(address) as session:
        try:
            session.execute(statement)
        except DatabaseRefused as refused:
            return refused.sqlstate
        return ""


def test_a_table_that_somebody_holds_is_not_waited_for_for_ever(
    address: str, world: World, fault: MakeFault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_lock, "ACQUIRED_WITHIN_S", 0.3)
    one = fault("database/lock", LOCK)
    with client(address) as holder:
        holder.execute("BEGIN; SELECT sold FROM stock WHERE id = 1")
        with pytest.raises(CrashcartError, match=r"could not be locked within 0\.3 s"):
            one.do(world)
        assert not one.is_there()
    one.do(world)
    assert one.is_there()


def test_the_clients_are_cut_off_and_refused_until_it_is_undone(address: str, world: World, fault: MakeFault) -> None:
    one = fault("database/connections", {"database": "db"})
    with client(address) as was_there:
        one.do(world)
        with pytest.raises(DatabaseUnreachable):
            was_there.value("SELECT 1")
    with pytest.raises(DatabaseRefused) as refused:
        client(address)
    assert refused.value.sqlstate == "53300"
    one.undo(world)
    with client(address) as again:
        assert again.value("SELECT 1") == 1


def test_as_many_as_were_left_free_are_let_in(address: str, world: World, fault: MakeFault) -> None:
    one = fault("database/connections", {"database": "db", "free": 3})
    assert not one.is_there()
    one.do(world)
    assert one.is_there()
    with ExitStack() as let_in:
        for _ in range(3):
            let_in.enter_context(client(address))
        assert ask("postgres", address).startswith("53300")
        assert one.is_there()


def test_clients_that_are_not_cut_off_stay(address: str, world: World, fault: MakeFault) -> None:
    one = fault("database/connections", {"database": "db", "cut": False})
    with client(address) as was_there:
        one.do(world)
        assert was_there.value("SELECT 1") == 1
        assert ask("postgres", address).startswith("53300")


def test_clients_that_come_back_at_once_do_not_keep_a_place(address: str, world: World, fault: MakeFault) -> None:
    one = fault("database/connections", {"database": "db"})
    with _coming_back(address, 4):
        one.do(world)
        with get_in(address, "looking-on", time.monotonic() + 10.0) as admin:
            ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crashcart-f1'"
            wait_until(lambda: admin.value(ours) == SLOTS)
        assert all(one.is_there() for _ in range(5))
        one.undo(world)
        wait_until(lambda: not one.is_there())


@contextmanager
def _coming_back(address: str, many: int) -> Iterator[None]:
    """Clients that connect, stay until they are cut off, and connect again."""
    leaving = threading.Event()

    def come() -> None:
        while not leaving.is_set():
            try:
                with client(address) as session:
                    while not leaving.is_set():
                        session.value("SELECT pg_sleep(0.01)")
            except CrashcartError:
                continue

    threads = [threading.Thread(target=come) for _ in range(many)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        leaving.set()
        for thread in threads:
            thread.join()


def test_a_place_that_somebody_leaves_later_is_taken_too(address: str, world: World, fault: MakeFault) -> None:
    one = fault("database/connections", {"database": "db"})
    ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crashcart-f1'"
    with client(address, "postgres") as admin:
        with client(address, "postgres"):
            one.do(world)
            assert admin.value(ours) == SLOTS - 2
        wait_until(lambda: admin.value(ours) == SLOTS - 1)
        assert one.is_there()


def test_it_gives_up_on_a_server_whose_connections_it_cannot_take_in_time(
    stack: LocalStack, address: str, world: World, fault: MakeFault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_connections, "TAKEN_WITHIN_S", 0.0)
    one = fault("database/connections", {"database": "db"})
    with pytest.raises(CrashcartError, match="could not all be taken"):
        one.do(world)
    assert not one.is_there()


def test_more_free_ones_than_there_are_cannot_be(address: str, world: World, fault: MakeFault) -> None:
    with pytest.raises(CrashcartError, match="free: 17 is more than the 16 that could be taken"):
        fault("database/connections", {"database": "db", "free": SLOTS}).do(world)
    assert ask("postgres", address) == ""
