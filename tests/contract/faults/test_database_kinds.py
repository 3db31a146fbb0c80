"""Faults on a real Postgres: done, seen by those who look from outside, and undone by whoever comes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crashcart.faults import database_connections, database_lock, decode_settings, registry
from crashcart.faults.database_sessions import DatabaseRefused, DatabaseUnreachable, Session
from crashcart.model.errors import CrashcartError, NotUndone
from crashcart.model.fault import Step
from crashcart.model.plan import PlannedFault
from crashcart.ports import FaultKind, Observer, World
from crashcart.runtimes.local import LocalRuntime
from crashcart.runtimes.local_stack import LocalStack
from crashcart.runtimes.readiness import ask
from crashcart.safety.worlds import DetachedWorld, StackWorld
from crashcart.tools import Toolbox
from tests.contract.faults.doer import Deed, KeepingWorld
from tests.contract.runtime.little_stack import COMMAND, DATABASE, booted, design
from tests.contract.safety.small_stack import wait_until

DESIGN = design({"door": msgspec.structs.replace(DATABASE, kind="process", command=COMMAND, links=("db",), entry=True)})
DESIGN = msgspec.structs.replace(DESIGN, services={**DESIGN.services, "db": DATABASE})
SLOTS = 17
"""Of the 20 that the little database has three are the superuser's."""
ROWS = 2000
STOCK = f"""
DROP TABLE IF EXISTS stock;
CREATE TABLE stock (id int PRIMARY KEY, sold int NOT NULL DEFAULT 0, name text NOT NULL) WITH (fillfactor = 60);
INSERT INTO stock (id, name) SELECT n, repeat('x', 100) FROM generate_series(1, {ROWS}) AS n;
"""

SQL = {
    "database": "db",
    "do": "UPDATE stock SET sold = sold + 1000 WHERE id = 7; UPDATE stock SET name = 'gone' WHERE id = 7",
    "undo": "UPDATE stock SET sold = sold - 1000, name = repeat('x', 100) WHERE id = 7",
    "check": "SELECT name = 'gone' FROM stock WHERE id = 7",
}
SETTING = {
    "database": "db",
    "do": ["ALTER SYSTEM SET work_mem = '64kB'", "SELECT pg_reload_conf()"],
    "undo": ["ALTER SYSTEM RESET work_mem", "SELECT pg_reload_conf()"],
    "check": "SELECT current_setting('work_mem') = '64kB'",
}
LOCK = {"database": "db", "table": "stock"}
PAGE = {"database": "db", "table": "stock", "page": 3}
HOLDING = {"database": "db", "table": "stock", "holding": "SELECT ctid FROM stock WHERE id = 1234"}
ALL: list[tuple[str, dict[str, Any]]] = [
    ("database/sql", SQL),
    ("database/sql", SETTING),
    ("database/lock", LOCK),
    ("database/lock", {**LOCK, "mode": "EXCLUSIVE"}),
    ("database/lock", {**LOCK, "mode": "SHARE"}),
    ("database/connections", {"database": "db"}),
    ("database/connections", {"database": "db", "free": 2}),
    ("database/connections", {"database": "db", "cut": False}),
    ("database/corrupt-page", PAGE),
    ("database/corrupt-page", HOLDING),
]
EACH = [ALL[0], ALL[2], ALL[5], ALL[8]]


class Fault:
    """One fault of a kind, and who looks for it."""

    def __init__(self, stack: LocalStack, kind: str, raw: dict[str, Any], fault_id: str = "f1") -> None:
        self.kind: FaultKind = registry()[kind]
        settings = decode_settings(self.kind, raw)
        targets = self.kind.targets(settings, DESIGN)
        effect = self.kind.effect(settings)
        links = self.kind.links(settings, DESIGN)
        planned = PlannedFault(fault_id, kind, raw, "", targets, (), links, 0.0, 10.0, effect)
        self.steps = self.kind.steps(settings, planned, stack.topology)
        observer = self.kind.observer(settings, planned, stack.topology)
        assert observer is not None
        self.observer: Observer = observer

    def is_there(self) -> bool:
        return self.observer.look().there

    def do(self, world: World) -> None:
        for step in self.steps:
            self.kind.apply(step, world)

    def undo(self, world: World) -> None:
        for step in self.steps:
            self.kind.undo(step, world)


@pytest.fixture(scope="module")
def stack(toolbox: Toolbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    runtime = LocalRuntime(toolbox, cache=tmp_path_factory.mktemp("cache"), ready_within_s=30.0)
    with booted(runtime, DESIGN, tmp_path_factory.mktemp("logs")) as stack:
        yield stack


@pytest.fixture
def address(stack: LocalStack) -> Iterator[str]:
    """The server's, with its tables as new."""
    address = stack.topology.instance("db[0]").address
    with client(address) as session:
        session.execute(STOCK)
        session.execute("VACUUM (ANALYZE) stock")
    yield address
    for note in Path(stack.topology.state_dir).glob("*.note"):
        note.unlink()


@pytest.fixture
def world(stack: LocalStack) -> StackWorld:
    return StackWorld(stack)


@pytest.fixture
def fault(stack: LocalStack) -> Iterator[Callable[..., Fault]]:
    with ExitStack() as leaving:

        def make(kind: str, raw: dict[str, Any], fault_id: str = "f1") -> Fault:
            made = Fault(stack, kind, raw, fault_id)
            leaving.callback(made.observer.close)
            leaving.callback(made.undo, DetachedWorld(stack.topology))
            return made

        yield make


def client(address: str, role: str = "shop") -> Session:
    """One as any of the shop's."""
    return Session(address, "client", statement_s=10.0, lock_s=0.2, role=role)


def contents(address: str) -> list[tuple[int, int, str]]:
    with client(address) as session:
        return [(id_, sold, name) for id_, sold, name in session.rows("SELECT * FROM stock ORDER BY id")]


# ---- every kind


@pytest.mark.parametrize(("kind", "raw"), ALL)
def test_a_fault_is_seen_while_it_is_there_and_neither_before_nor_after(
    address: str, world: World, fault: Callable[..., Fault], kind: str, raw: dict[str, Any]
) -> None:
    one = fault(kind, raw)
    before = contents(address)
    assert [one.is_there() for _ in range(3)] == [False] * 3
    one.do(world)
    assert [one.is_there() for _ in range(3)] == [True] * 3
    one.undo(world)
    assert [one.is_there() for _ in range(3)] == [False] * 3
    assert contents(address) == before


@pytest.mark.parametrize(("kind", "raw"), ALL)
def test_who_knows_the_step_alone_undoes_it_and_may_do_so_twice(
    stack: LocalStack, address: str, world: StackWorld, fault: Callable[..., Fault], kind: str, raw: dict[str, Any]
) -> None:
    one = fault(kind, raw)
    before = contents(address)
    one.do(world)
    other = DetachedWorld(stack.topology)
    for _ in range(2):
        one.undo(other)
        assert not one.is_there()
    assert contents(address) == before
    one.undo(world)
    assert contents(address) == before


@pytest.mark.parametrize(("kind", "raw"), EACH)
def test_when_the_harness_is_killed_what_it_did_goes_with_it_or_is_undone_from_the_step(
    stack: LocalStack, address: str, fault: Callable[..., Fault], kind: str, raw: dict[str, Any]
) -> None:
    one = fault(kind, raw)
    before = contents(address)
    assert not one.is_there()
    deed = msgspec.json.encode(Deed(stack.topology, one.steps))
    harness = subprocess.Popen(
        [sys.executable, "-m", "tests.contract.faults.doer"],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert harness.stdin is not None
    assert harness.stdout is not None
    try:
        harness.stdin.write(deed)
        harness.stdin.close()
        assert harness.stdout.readline() == b"done\n"
        assert one.is_there()
    finally:
        harness.kill()
        harness.wait()
        harness.stdout.close()
    if kind in ("database/lock", "database/connections"):
        wait_until(lambda: not one.is_there())
    else:
        assert one.is_there()
    one.undo(DetachedWorld(stack.topology))
    assert not one.is_there()
    assert contents(address) == before


@pytest.mark.parametrize(("kind", "raw"), EACH)
def test_what_was_never_done_is_undone_without_a_trace(
    stack: LocalStack, address: str, fault: Callable[..., Fault], kind: str, raw: dict[str, Any]
) -> None:
    before = contents(address)
    fault(kind, raw).undo(DetachedWorld(stack.topology))
    assert contents(address) == before


@pytest.mark.parametrize(("kind", "raw"), EACH)
def test_steps_are_plain_data_that_survives_a_log(
    address: str, world: World, fault: Callable[..., Fault], kind: str, raw: dict[str, Any]
) -> None:
    one = fault(kind, raw)
    read = msgspec.json.decode(msgspec.json.encode(one.steps), type=tuple[Step, ...])
    assert msgspec.json.encode(read) == msgspec.json.encode(one.steps)
    one.steps = read
    assert not one.is_there()
    one.do(world)
    assert one.is_there()
    one.undo(world)
    assert not one.is_there()


# ---- database/sql


def test_sql_that_fails_halfway_leaves_nothing(address: str, world: World, fault: Callable[..., Fault]) -> None:
    before = contents(address)
    one = fault("database/sql", {**SQL, "do": f"{SQL['do']}; SELECT 1 / 0"})
    with pytest.raises(CrashcartError, match="`do` failed: 22012"):
        one.do(world)
    assert contents(address) == before
    one.undo(world)
    assert contents(address) == before


def test_what_check_would_find_anyway_is_not_undone(
    stack: LocalStack, address: str, world: World, fault: Callable[..., Fault]
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
    address: str, world: World, fault: Callable[..., Fault], changed: dict[str, Any], told: str
) -> None:
    before = contents(address)
    one = fault("database/sql", {**SQL, **changed})
    with pytest.raises(CrashcartError, match=told):
        one.do(world)
    assert contents(address) == before


def test_an_undo_that_does_not_help_is_reported_and_taken_back(
    address: str, world: World, fault: Callable[..., Fault]
) -> None:
    one = fault("database/sql", {**SQL, "undo": "UPDATE stock SET sold = 5"}, "f2")
    one.do(world)
    done = contents(address)
    with pytest.raises(NotUndone, match="`check` is still true"):
        one.undo(world)
    assert contents(address) == done
    with client(address) as session:
        session.execute(SQL["undo"])


def test_a_deadlock_with_a_client_is_met_by_trying_again(
    address: str, world: World, fault: Callable[..., Fault]
) -> None:
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


# ---- database/lock


@pytest.mark.parametrize(
    ("mode", "reads", "locks_rows"),
    [("ACCESS EXCLUSIVE", False, False), ("EXCLUSIVE", True, False), ("SHARE", True, True)],
)
def test_a_lock_keeps_out_those_that_its_mode_keeps_out(
    address: str, world: World, fault: Callable[..., Fault], mode: str, reads: bool, locks_rows: bool
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
    address: str, world: World, fault: Callable[..., Fault], monkeypatch: pytest.MonkeyPatch
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


# ---- database/connections


def test_the_clients_are_cut_off_and_refused_until_it_is_undone(
    address: str, world: World, fault: Callable[..., Fault]
) -> None:
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


def test_as_many_as_were_left_free_are_let_in(address: str, world: World, fault: Callable[..., Fault]) -> None:
    one = fault("database/connections", {"database": "db", "free": 3})
    assert not one.is_there()
    one.do(world)
    assert one.is_there()
    with ExitStack() as let_in:
        for _ in range(3):
            let_in.enter_context(client(address))
        assert ask("postgres", address).startswith("53300")
        assert one.is_there()


def test_clients_that_are_not_cut_off_stay(address: str, world: World, fault: Callable[..., Fault]) -> None:
    one = fault("database/connections", {"database": "db", "cut": False})
    with client(address) as was_there:
        one.do(world)
        assert was_there.value("SELECT 1") == 1
        assert ask("postgres", address).startswith("53300")


def test_clients_that_come_back_at_once_do_not_keep_a_place(
    address: str, world: World, fault: Callable[..., Fault]
) -> None:
    one = fault("database/connections", {"database": "db"})
    with _coming_back(address, 4):
        one.do(world)
        with client(address, "postgres") as admin:
            ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crashcart-f1'"
            assert admin.value(ours) == SLOTS
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


def test_it_gives_up_on_a_server_whose_connections_it_cannot_take_in_time(
    stack: LocalStack, address: str, world: World, fault: Callable[..., Fault], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_connections, "TAKEN_WITHIN_S", 0.0)
    one = fault("database/connections", {"database": "db"})
    with pytest.raises(CrashcartError, match="could not all be taken"):
        one.do(world)
    assert not one.is_there()


def test_more_free_ones_than_there_are_cannot_be(address: str, world: World, fault: Callable[..., Fault]) -> None:
    with pytest.raises(CrashcartError, match="free: 17 is more than the 16 that could be taken"):
        fault("database/connections", {"database": "db", "free": SLOTS}).do(world)
    assert ask("postgres", address) == ""


# ---- database/corrupt-page


def test_a_page_is_lost_to_all_and_every_other_page_to_nobody(
    address: str, world: World, fault: Callable[..., Fault]
) -> None:
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


def test_sales_go_on_meanwhile_and_the_books_are_right_afterwards(
    address: str, world: World, fault: Callable[..., Fault]
) -> None:
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
    stack: LocalStack, address: str, world: StackWorld, fault: Callable[..., Fault]
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


def test_a_page_that_somebody_else_has_mended_stays_as_it_is(
    address: str, world: World, fault: Callable[..., Fault]
) -> None:
    one = fault("database/corrupt-page", PAGE)
    one.do(world)
    with client(address) as session:
        session.execute("TRUNCATE stock")
        session.execute(STOCK.replace("'x'", "'y'"))
    restored = contents(address)
    one.undo(world)
    assert contents(address) == restored


def test_a_page_that_is_damaged_otherwise_is_not_called_undone(
    address: str, world: World, fault: Callable[..., Fault]
) -> None:
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
    address: str, world: World, fault: Callable[..., Fault], changed: dict[str, Any], told: str
) -> None:
    before = contents(address)
    one = fault("database/corrupt-page", {**PAGE, **changed})
    with pytest.raises(CrashcartError, match=told):
        one.do(world)
    assert contents(address) == before


def test_kept_sessions_are_found_by_name_and_others_left_alone(
    stack: LocalStack, address: str, fault: Callable[..., Fault]
) -> None:
    one, other = fault("database/lock", LOCK), fault("database/lock", {**LOCK, "table": "notes"}, "f2")
    world = KeepingWorld(stack.topology)
    one.do(world)
    other.do(world)
    one.undo(DetachedWorld(stack.topology))
    assert not one.is_there()
    assert other.is_there()
    other.undo(world)
    one.undo(world)
