"""Pages damaged on disk below a real Postgres, and put back."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from crashcart.faults.database_sessions import DatabaseRefused, Session
from crashcart.model.errors import CrashcartError, NotUndone
from crashcart.ports import World
from crashcart.runtimes.local_stack import LocalStack
from crashcart.safety.worlds import DetachedWorld, StackWorld
from tests.contract.faults.databases.rig import (
    HOLDING,
    PAGE,
    ROWS,
    STOCK,
    MakeFault,
    client,
    contents,
)
from tests.contract.safety.small_stack import wait_until


def test_a_page_is_lost_to_all_and_every_other_page_to_nobody(address: str, world: World, fault: MakeFault) -> None:
    with client(address) as session:
        on_it = [id_ for (id_,) in session.rows("SELECT id FROM stock WHERE ctid >= '(3,0)' AND ctid < '(4,0)'")]
    one = fault("database/corrupt-page", PAGE)
    assert not one.is_there()
    one.do(world)
    with client(address) as session:
        for statement in ("SELECT sold FROM stock WHERE id = {}", "UPDATE stock SET sold = 1 WHERE id = {}"):
            with pytest.raises(DatabaseRefused) as refused:
                session.execute(statement.format(on_it[0]))
            assert refused.value.sqlstate == "XX001"
        session.execute(f"UPDATE stock SET sold = 1 WHERE id < {on_it[0]}")
    seen = one.observer.look()
    assert seen.value is not None
    assert seen.value >= 3, "each of them was counted by the server"
    one.undo(world)
    sold = {id_: sold for id_, sold, _ in contents(address)}
    assert {sold[id_] for id_ in on_it} == {0}
    assert [id_ for id_, count in sold.items() if count] == list(range(1, on_it[0]))


def test_sales_go_on_meanwhile_and_the_books_are_right_afterwards(address: str, world: World, fault: MakeFault) -> None:
    one = fault("database/corrupt-page", HOLDING)
    acknowledged = dict.fromkeys(range(1, ROWS + 1), 0)
    refused: list[str] = []
    leaving = threading.Event()

    def sell(first: int) -> None:
        # each sells rows of its own, those of the page among them
        with Session(address, "seller", statement_s=10.0, role="shop") as session:
            while not leaving.is_set():
                for id_ in range(first, ROWS + 1, 40):
                    try:
                        session.execute(f"UPDATE stock SET sold = sold + 1 WHERE id = {id_}")
                        acknowledged[id_] += 1
                    except DatabaseRefused as problem:
                        refused.append(problem.sqlstate)

    threads = [threading.Thread(target=sell, args=(first,)) for first in (1, 2, 14, 34)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: sum(acknowledged.values()) > 500)
        one.do(world)
        sold = sum(acknowledged.values())
        wait_until(lambda: len(refused) > 20 and sum(acknowledged.values()) > sold + 500)
        one.undo(world)
        sold = sum(acknowledged.values())
        wait_until(lambda: sum(acknowledged.values()) > sold + 500)
    finally:
        leaving.set()
        for thread in threads:
            thread.join()
    assert set(refused) == {"XX001"}
    assert {id_: sold for id_, sold, _ in contents(address)} == acknowledged


def test_damage_outlives_a_crash_of_the_server_and_is_undone_without_one(
    stack: LocalStack, address: str, world: StackWorld, fault: MakeFault
) -> None:
    before = contents(address)
    one = fault("database/corrupt-page", PAGE)
    assert not one.is_there()
    one.do(world)
    world.kill("db[0]")
    world.start_again("db[0]")
    one.observer.close()
    assert "can't be read" in one.observer.look().note
    world.kill("db[0]")
    one.undo(DetachedWorld(stack.topology))
    world.start_again("db[0]")
    assert contents(address) == before


def test_a_page_that_somebody_else_has_mended_stays_as_it_is(address: str, world: World, fault: MakeFault) -> None:
    one = fault("database/corrupt-page", PAGE)
    one.do(world)
    with client(address) as session:
        session.execute("TRUNCATE stock")
        session.execute(STOCK.replace("'x'", "'y'"))
    restored = contents(address)
    one.undo(world)
    assert contents(address) == restored


def test_a_page_that_is_damaged_otherwise_is_not_called_undone(address: str, world: World, fault: MakeFault) -> None:
    one = fault("database/corrupt-page", PAGE)
    one.do(world)
    note = Path(one.steps[0].data["note"])
    told = note.read_bytes()
    # as if the disk had gone on losing bits
    note.write_bytes(told.replace(b'"bad":"', b'"bad":"AAAA'))
    with pytest.raises(NotUndone, match="it is not as it was left"):
        one.undo(world)
    note.write_bytes(told)
    one.undo(world)
    assert not one.is_there()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"page": 5000}, "and no page 5000"),
        ({"table": "nowhere"}, "42P01"),
        ({"table": "stock_pkey"}, "42809"),
        ({"page": None, "holding": "SELECT 7"}, "`holding` gave 7 and no ctid"),
        ({"page": None, "holding": "SELECT ctid FROM stock WHERE id = -1"}, "`holding` gave None and no ctid"),
    ],
)
def test_a_page_that_is_not_there_is_not_damaged(
    address: str, world: World, fault: MakeFault, changed: dict[str, Any], told: str
) -> None:
    before = contents(address)
    one = fault("database/corrupt-page", {**PAGE, **changed})
    with pytest.raises(CrashcartError, match=told):
        one.do(world)
    assert contents(address) == before
