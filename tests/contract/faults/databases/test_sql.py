"""SQL that is done and undone, on a real Postgres."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from crashcart.faults.database_sessions import Session
from crashcart.model.errors import CrashcartError, NotUndone
from crashcart.ports import World
from crashcart.runtimes.local_stack import LocalStack
from crashcart.safety.worlds import DetachedWorld
from tests.contract.faults.databases.rig import (
    SQL,
    MakeFault,
    client,
    contents,
)
from tests.contract.safety.small_stack import wait_until


def test_sql_that_fails_halfway_leaves_nothing(address: str, world: World, fault: MakeFault) -> None:
    before = contents(address)
    one = fault("database/sql", {**SQL, "do": f"{SQL['do']}; SELECT 1 / 0"})
    with pytest.raises(CrashcartError, match="`do` failed: 22012"):
        one.do(world)
    assert contents(address) == before
    one.undo(world)
    assert contents(address) == before


def test_what_check_would_find_anyway_is_not_undone(
    stack: LocalStack, address: str, world: World, fault: MakeFault
) -> None:
    with client(address) as session:
        session.execute("UPDATE stock SET name = 'gone' WHERE id = 7")
    before = contents(address)
    one = fault("database/sql", SQL)
    with pytest.raises(CrashcartError, match="true before anything was done"):
        one.do(world)
    one.undo(DetachedWorld(stack.topology))
    assert contents(address) == before


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"check": "SELECT false"}, "`check` is not true after it"),
        ({"check": "SELECT 1"}, "no boolean"),
        ({"check": "SELECT sold FROM shelves"}, "`check` failed: 42P01"),
        ({"check": "WITH gone AS (DELETE FROM stock RETURNING 1) SELECT true FROM gone"}, "`check` failed: 25006"),
        ({"do": "VACUUM stock"}, "write `do` as a list"),
    ],
)
def test_sql_that_could_not_be_shown_or_undone_is_not_done(
    address: str, world: World, fault: MakeFault, changed: dict[str, Any], told: str
) -> None:
    before = contents(address)
    one = fault("database/sql", {**SQL, **changed})
    with pytest.raises(CrashcartError, match=told):
        one.do(world)
    assert contents(address) == before


def test_an_undo_that_does_not_help_is_reported_and_taken_back(address: str, world: World, fault: MakeFault) -> None:
    one = fault("database/sql", {**SQL, "undo": "UPDATE stock SET sold = 5"}, "f2")
    one.do(world)
    done = contents(address)
    with pytest.raises(NotUndone, match="`check` is still true"):
        one.undo(world)
    assert contents(address) == done
    with client(address) as session:
        session.execute(SQL["undo"])


def test_a_deadlock_with_a_client_is_met_by_trying_again(address: str, world: World, fault: MakeFault) -> None:
    pausing = "UPDATE stock SET sold = sold WHERE id = 8; SELECT pg_advisory_xact_lock(99)"
    one = fault("database/sql", {**SQL, "do": f"{pausing}; {SQL['do']}"})

    def waits(name: str) -> bool:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'"
        return bool(admin.value(asked, name) > 0)

    with client(address, "postgres") as admin, Session(address, "buyer", statement_s=20.0) as buyer:
        admin.execute("SELECT pg_advisory_lock(99)")
        # it never looks for deadlocks itself: the fault is the one that has to give way
        buyer.execute("SET deadlock_timeout = '100s'; BEGIN; UPDATE stock SET sold = sold + 1 WHERE id = 7")
        doing = threading.Thread(target=one.do, args=(world,))
        doing.start()
        wait_until(lambda: waits("crashcart-f1"))
        buying = threading.Thread(target=buyer.execute, args=("UPDATE stock SET sold = sold + 1 WHERE id = 8; COMMIT",))
        buying.start()
        wait_until(lambda: waits("buyer"))
        admin.execute("SELECT pg_advisory_unlock(99)")
        buying.join()
        doing.join()
    assert one.is_there()
    one.undo(world)
    assert [sold for id_, sold, _ in contents(address) if id_ in (7, 8)] == [1, 1]
