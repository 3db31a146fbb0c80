from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import asyncpg
import duckdb
import pytest

from crashcart.books import read_books, wait_quiesced
from crashcart.model.topology import Instance, Topology
from crashcart.model.truth import Quiesce, Source, Truth
from crashcart.running.interrupts import Interrupts

_names = itertools.count()


class FakeStack:
    """A stack of which only the books are asked for."""

    def __init__(self, addresses: dict[str, str], ledgers: dict[str, Path]) -> None:
        self._addresses, self._ledgers = addresses, ledgers
        instances = tuple(
            Instance(
                name=name, service=name.split("[")[0], kind="process", address="", process=None, log="", data_dir=""
            )
            for name in ledgers
        )
        self.topology = Topology("run", "", "", instances, (), "", "")

    def database_address(self, service: str) -> str:
        return self._addresses[service]

    def file(self, instance: str, name: str) -> Path:
        assert name == "ledger.jsonl"
        return self._ledgers[instance]


@pytest.fixture
def database(postgres: str) -> Callable[[str], str]:
    def make(sql: str) -> str:
        name = f"books_{next(_names)}"
        _execute(f"{postgres}/postgres", f"CREATE DATABASE {name}")
        _execute(f"{postgres}/{name}", sql)
        return f"{postgres}/{name}"

    return make


def _execute(address: str, sql: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(address)
        await connection.execute(sql)
        await connection.close()

    asyncio.run(run())


def _truth(sources: dict[str, Source], zero: dict[str, Source] | None = None, within_s: float = 5.0) -> Truth:
    return Truth(sources=sources, quiesce=Quiesce(within_s, zero or {}), invariants=())


def _rows(path: Path) -> list[tuple[Any, ...]]:
    return duckdb.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall()


ORDERS = Source(database="orders-db", sql="SELECT id, note, cents FROM orders ORDER BY id")
ORDERS_COLUMNS = {"id": "VARCHAR", "note": "VARCHAR", "cents": "BIGINT"}


def test_a_table_arrives_with_its_nulls_empty_strings_quotes_and_line_breaks(
    database: Callable[[str], str], tmp_path: Path
) -> None:
    address = database(
        "CREATE TABLE orders (id text, note text, cents int);"
        """INSERT INTO orders VALUES ('a', NULL, 1), ('b', '', NULL), ('c', E'"x", ü\n2', 9)"""
    )
    source = Source(ORDERS.database, ORDERS.sql, "", ORDERS_COLUMNS)
    result = read_books(
        _truth({"orders": source}), FakeStack({"orders-db": address}, {}), tmp_path / "truth", Interrupts()
    )
    assert result.rows == {"orders": 3}
    assert result.errors == {}
    assert _rows(tmp_path / "truth/orders.parquet") == [("a", None, 1), ("b", "", None), ("c", '"x", ü\n2', 9)]
    assert [path.name for path in (tmp_path / "truth").iterdir()] == ["orders.parquet"]


def test_an_empty_table_is_a_table_with_its_declared_columns(database: Callable[[str], str], tmp_path: Path) -> None:
    address = database("CREATE TABLE orders (id text, note text, cents int)")
    source = Source(ORDERS.database, ORDERS.sql, "", ORDERS_COLUMNS)
    result = read_books(_truth({"orders": source}), FakeStack({"orders-db": address}, {}), tmp_path, Interrupts())
    assert result.rows == {"orders": 0}
    described = duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(tmp_path / "orders.parquet")]).fetchall()
    assert [(row[0], row[1]) for row in described] == list(ORDERS_COLUMNS.items())


def test_a_query_that_fails_leaves_no_table_and_the_others_readable(
    database: Callable[[str], str], tmp_path: Path
) -> None:
    address = database("CREATE TABLE orders (id text, note text, cents int)")
    sources = {
        "broken": Source("orders-db", "SELECT nothing FROM orders", "", {"nothing": "VARCHAR"}),
        "orders": Source(ORDERS.database, ORDERS.sql, "", ORDERS_COLUMNS),
    }
    result = read_books(_truth(sources), FakeStack({"orders-db": address}, {}), tmp_path, Interrupts())
    assert result.rows == {"orders": 0}
    assert 'column "nothing" does not exist' in result.errors["broken"]
    assert not (tmp_path / "broken.parquet").exists()


def test_columns_that_are_not_the_declared_ones_are_an_error(database: Callable[[str], str], tmp_path: Path) -> None:
    address = database("CREATE TABLE orders (id text, note text, cents int)")
    source = Source(ORDERS.database, ORDERS.sql, "", {"id": "VARCHAR", "cents": "BIGINT"})
    result = read_books(_truth({"orders": source}), FakeStack({"orders-db": address}, {}), tmp_path, Interrupts())
    assert result.errors == {"orders": "the query gives id, note, cents; declared are id, cents"}


def test_a_database_that_is_down_is_an_error_of_each_of_its_tables(tmp_path: Path, free_port: int) -> None:
    address = f"postgresql://shop@127.0.0.1:{free_port}/shop"
    result = read_books(_truth({"orders": ORDERS}), FakeStack({"orders-db": address}, {}), tmp_path, Interrupts())
    assert result.rows == {}
    assert result.errors["orders"].startswith("orders-db could not be read: ")


def test_ledgers_of_all_replicas_are_one_table_without_the_line_that_was_cut(tmp_path: Path) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    one.write_text(json.dumps({"key": "a", "cents": 1}) + "\n" + '{"key": "b", "ce')
    other.write_text(json.dumps({"key": "c"}) + "\n")
    source = Source(ledger="psp", columns={"key": "VARCHAR", "cents": "BIGINT"})
    stack = FakeStack({}, {"psp[0]": one, "psp[1]": other})
    result = read_books(_truth({"psp": source}), stack, tmp_path / "truth", Interrupts())
    assert result.rows == {"psp": 2}
    assert sorted(_rows(tmp_path / "truth/psp.parquet")) == [("a", 1), ("c", None)]
    assert one.read_text().endswith('"ce')


def test_a_ledger_that_was_never_kept_is_no_table(tmp_path: Path) -> None:
    source = Source(ledger="psp", columns={"key": "VARCHAR"})
    result = read_books(
        _truth({"psp": source}), FakeStack({}, {"psp[0]": tmp_path / "none.jsonl"}), tmp_path / "truth", Interrupts()
    )
    assert result.errors == {"psp": "psp[0] kept no ledger.jsonl"}


def test_an_empty_ledger_is_an_empty_table(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    ledger.touch()
    source = Source(ledger="psp", columns={"key": "VARCHAR", "t": "TIMESTAMPTZ"})
    result = read_books(_truth({"psp": source}), FakeStack({}, {"psp[0]": ledger}), tmp_path / "truth", Interrupts())
    assert result.rows == {"psp": 0}


def test_it_is_quiet_when_every_question_is_answered_with_nothing(database: Callable[[str], str]) -> None:
    address = database("CREATE TABLE orders (state text); INSERT INTO orders VALUES ('accepted')")
    zero = {"open": Source("orders-db", "SELECT count(*) FROM orders WHERE state = 'open'")}
    result = wait_quiesced(_truth({}, zero), FakeStack({"orders-db": address}, {}), Interrupts())
    assert result.quiet
    assert result.pending == {"open": 0}


def test_it_is_not_quiet_while_something_is_left_and_the_wait_is_bounded(database: Callable[[str], str]) -> None:
    address = database("CREATE TABLE orders (state text); INSERT INTO orders VALUES ('open'), ('open')")
    zero = {"open": Source("orders-db", "SELECT count(*) FROM orders WHERE state = 'open'")}
    result = wait_quiesced(_truth({}, zero, within_s=0.4), FakeStack({"orders-db": address}, {}), Interrupts())
    assert not result.quiet
    assert result.pending == {"open": 2}
    assert result.took_s < 5


@pytest.fixture
def metrics() -> Iterator[Callable[[str], str]]:
    """Services that say at /metrics what they are told to: text → host:port."""
    with ExitStack() as leaving:

        def serve(text: str) -> str:
            class Answers(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    self.send_response(200 if self.path == "/metrics" else 404)
                    self.end_headers()
                    self.wfile.write(text.encode())

                def log_message(self, *_: object) -> None:
                    """Say nothing."""

            server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            leaving.callback(server.server_close)
            leaving.callback(server.shutdown)
            return f"127.0.0.1:{server.server_port}"

        yield serve


class FakeServices(FakeStack):
    """Replicas of one service."""

    def __init__(self, *addresses: str) -> None:
        super().__init__({}, {})
        replicas = (Instance(f"shop[{n}]", "shop", "process", one, None, "", "") for n, one in enumerate(addresses))
        self.topology = Topology("run", "", "", tuple(replicas), (), "", "")


@pytest.mark.parametrize(
    ("texts", "left"),
    [
        (("waiting 0\n", "waiting 0.0\n"), 0),
        (("waiting 0\n", "waiting 2\nother 7\n"), 2),
        (('waiting{to="a"} 1\nwaiting{to="b"} 2\n',), 3),
        (("waiting 0.2\n",), 1),
        (("waiting 0\n", "other 0\n"), None),
        (("waiting NaN\n",), None),
        (("<html>",), None),
        ((), None),
    ],
)
def test_what_a_service_still_has_to_do_is_told_by_its_own_gauge_all_replicas_together(
    metrics: Callable[[str], str], texts: tuple[str, ...], left: int | None
) -> None:
    zero = {"left": Source(service="shop", gauge="waiting")}
    result = wait_quiesced(_truth({}, zero, within_s=0.1), FakeServices(*map(metrics, texts)), Interrupts())
    assert (result.quiet, result.pending) == (left == 0, {"left": left})


def test_a_service_that_is_gone_is_never_quiet(metrics: Callable[[str], str], free_port: int) -> None:
    zero = {"left": Source(service="shop", gauge="waiting")}
    stack = FakeServices(metrics("waiting 0\n"), f"127.0.0.1:{free_port}")
    assert wait_quiesced(_truth({}, zero, within_s=0.1), stack, Interrupts()).pending == {"left": None}


def test_a_service_whose_answer_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crashcart.books.ASK_S", 0.5)

    def trickle(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with contextlib.suppress(OSError), connection:
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nwaiting 0\n")
                    while True:
                        connection.sendall(b"#")
                        time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=trickle, args=(listening,), daemon=True).start()
        zero = {"left": Source(service="shop", gauge="waiting")}
        stack = FakeServices(f"127.0.0.1:{listening.getsockname()[1]}")
        result = wait_quiesced(_truth({}, zero, within_s=0.1), stack, Interrupts())
    assert (result.quiet, result.pending) == (False, {"left": None})


def test_a_server_that_does_not_answer_is_never_quiet(free_port: int) -> None:
    address = f"postgresql://shop@127.0.0.1:{free_port}/shop"
    zero = {"open": Source("orders-db", "SELECT 0")}
    result = wait_quiesced(_truth({}, zero, within_s=0.3), FakeStack({"orders-db": address}, {}), Interrupts())
    assert not result.quiet
    assert result.pending == {"open": None}
