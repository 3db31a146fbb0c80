from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from crashcart.faults import decode_settings, registry
from crashcart.faults.database_pages import SavedPage, saved_page
from crashcart.faults.databases import in_short, quoted_table
from crashcart.model.design import Design, Metadata, Service
from crashcart.model.errors import UsageError
from crashcart.model.fault import Step
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.topology import Instance, Topology

DESIGN = Design(
    api_version="crashcart/v1",
    kind="Design",
    metadata=Metadata("small"),
    services={
        "door": Service(links=("shop", "books"), entry=True),
        "shop": Service(links=("books", "carts"), replicas=2),
        "books": Service(kind="postgres", replicas=2),
        "carts": Service(kind="valkey"),
        "attic": Service(kind="postgres"),
    },
)
TOPOLOGY = Topology(
    run_id="run",
    state_dir="/state",
    project_dir="/project",
    instances=tuple(
        Instance(f"books[{i}]", "books", "postgres", f"127.0.0.1:{i}", None, "", f"/state/data/books[{i}]")
        for i in (0, 1)
    ),
    proxies=(),
    toxiproxy_api="http://127.0.0.1:8474",
    prometheus_url="",
)
SQL = {
    "database": "books",
    "do": "UPDATE stock SET sold = 1;",
    "undo": "UPDATE stock SET sold = 0",
    "check": "SELECT t",
}
GOOD: list[tuple[str, dict[str, Any], str]] = [
    ("database/sql", SQL, "SQL is done to books: UPDATE stock SET sold = 1;"),
    (
        "database/sql",
        {**SQL, "do": ["DROP  INDEX\n a", "ANALYZE"], "undo": ["CREATE INDEX a"]},
        "SQL is done to books: DROP INDEX a; ANALYZE",
    ),
    ("database/lock", {"database": "books", "table": "stock"}, "stock in books is locked (ACCESS EXCLUSIVE)"),
    (
        "database/lock",
        {"database": "books", "table": "s.stock", "mode": "SHARE"},
        "s.stock in books is locked (SHARE)",
    ),
    ("database/connections", {"database": "books"}, "books has no free connection, and its clients are cut off"),
    ("database/connections", {"database": "books", "free": 2, "cut": False}, "books has 2 free connections"),
    (
        "database/corrupt-page",
        {"database": "books", "table": "stock", "page": 0},
        "page 0 of stock in books is damaged on disk",
    ),
    (
        "database/corrupt-page",
        {"database": "books", "table": "stock", "holding": "SELECT ctid FROM stock WHERE id = 7"},
        "the page of (SELECT ctid FROM stock WHERE id = 7) of stock in books is damaged on disk",
    ),
]


def _planned(kind: str, raw: dict[str, Any], targets: tuple[str, ...], fault_id: str = "f1") -> PlannedFault:
    return PlannedFault(fault_id, kind, raw, "", targets, (), (), 0.0, 10.0, Effect("observed"))


@pytest.mark.parametrize(("kind", "raw", "title"), GOOD)
def test_a_kind_says_whom_it_acts_on_who_must_have_called_and_how_it_is_shown(
    kind: str, raw: dict[str, Any], title: str
) -> None:
    fault = registry()[kind]
    settings = decode_settings(fault, raw)
    assert fault.title(settings) == title
    assert fault.targets(settings, DESIGN) == ("books[0]", "books[1]")
    assert fault.watched(settings, DESIGN) == ()
    assert fault.links(settings, DESIGN) == ("door.books", "shop.books")
    assert fault.effect(settings) == Effect("observed")
    assert fault.slices(settings, "f1", 7, 10.0) == ()


@pytest.mark.parametrize(("kind", "raw", "_title"), GOOD)
def test_steps_hold_all_that_is_needed_to_undo_them_and_survive_a_log(
    kind: str, raw: dict[str, Any], _title: str
) -> None:
    fault = registry()[kind]
    settings = decode_settings(fault, raw)
    planned = _planned(kind, raw, ("books[1]",))
    (step,) = fault.steps(settings, planned, TOPOLOGY)
    assert (step.kind, step.target) == (kind, "books[1]")
    assert step.data["address"] == "127.0.0.1:1"
    assert step.data["session"] == "crashcart-f1"
    assert step.data["note"] == "/state/f1-books[1].note"
    again = msgspec.json.decode(msgspec.json.encode(step), type=Step)
    assert msgspec.json.encode(again) == msgspec.json.encode(step)
    assert fault.steps(settings, planned, TOPOLOGY) == (step,)


def test_one_replica_may_be_named_and_two_faults_keep_their_own_sessions_and_notes() -> None:
    fault = registry()["database/lock"]
    settings = decode_settings(fault, {"database": "books[1]", "table": "stock"})
    assert fault.targets(settings, DESIGN) == ("books[1]",)
    one, other = (
        fault.steps(settings, _planned(fault.kind, {}, ("books[1]",), name), TOPOLOGY)[0] for name in ("f1", "f2")
    )
    assert one.data["session"] != other.data["session"]
    assert one.data["note"] != other.data["note"]


@pytest.mark.parametrize("kind", ["database/sql", "database/lock", "database/connections", "database/corrupt-page"])
@pytest.mark.parametrize(
    ("database", "told"),
    [
        ("boks", 'did you mean "books"'),
        ("carts", "carts is not a Postgres database but a service of kind valkey"),
        ("shop", "shop is not a Postgres database but a service of kind process"),
        ("books[5]", "a replica that the design does not have"),
        ("attic", r"no link leads to attic\[0\]"),
        ("books; DROP TABLE", "has no service"),
    ],
)
def test_a_database_that_cannot_be_broken_is_refused(kind: str, database: str, told: str) -> None:
    fault = registry()[kind]
    raw = {**next(raw for name, raw, _ in GOOD if name == kind), "database": database}
    with pytest.raises(UsageError, match=told):
        fault.targets(decode_settings(fault, raw), DESIGN)


@pytest.mark.parametrize(
    ("kind", "raw", "told"),
    [
        ("database/sql", {**SQL, "undo": "  "}, "undo is empty"),
        ("database/sql", {**SQL, "do": []}, "do is empty"),
        ("database/sql", {**SQL, "do": ["SELECT 1", ""]}, "do is empty"),
        ("database/sql", {**SQL, "check": "\n"}, "check is empty"),
        ("database/sql", {"database": "books", "do": "SELECT 1"}, "missing required field `undo`"),
        ("database/lock", {"database": "books", "table": 'stock"; DROP TABLE stock; --'}, "can't be named safely"),
        ("database/lock", {"database": "books", "table": "a.b.c"}, "can't be named safely"),
        ("database/lock", {"database": "books", "table": "stock", "mode": "access exclusive"}, "Invalid enum value"),
        ("database/connections", {"database": "books", "free": -1}, "free: -1 can't be"),
        ("database/corrupt-page", {"database": "books", "table": "stock"}, "which page is it"),
        ("database/corrupt-page", {"database": "books", "table": "stock", "page": 1, "holding": "x"}, "which page"),
        ("database/corrupt-page", {"database": "books", "table": "stock", "page": -1}, "page: -1 can't be"),
        ("database/corrupt-page", {"database": "books", "table": "st ock", "page": 1}, "can't be named safely"),
    ],
)
def test_settings_that_cannot_be_are_refused(kind: str, raw: dict[str, Any], told: str) -> None:
    fault = registry()[kind]
    with pytest.raises(UsageError, match=told):
        fault.targets(decode_settings(fault, raw), DESIGN)


def test_data_that_is_not_thrown_away_with_the_stack_is_never_damaged() -> None:
    fault = registry()["database/corrupt-page"]
    settings = decode_settings(fault, {"database": "books", "table": "stock", "page": 0})
    kept = msgspec.structs.replace(TOPOLOGY.instances[0], data_dir="/var/lib/postgresql/18/main")
    topology = msgspec.structs.replace(TOPOLOGY, instances=(kept,))
    with pytest.raises(UsageError, match="is not thrown away after the run"):
        fault.steps(settings, _planned(fault.kind, {}, ("books[0]",)), topology)


@pytest.mark.parametrize(
    ("name", "quoted"),
    [("stock", '"stock"'), ("sales.Stock_2", '"sales"."Stock_2"'), ("_t$", '"_t$"')],
)
def test_a_table_is_named_as_it_is_written(name: str, quoted: str) -> None:
    assert quoted_table(name) == quoted


@pytest.mark.parametrize("name", ["", "1st", "a b", 'a"b', "a'b", "a;b", "a.", ".a", "a.b.c", "a" * 64, "stöck", "a\n"])
def test_what_is_no_plain_name_is_no_table(name: str) -> None:
    with pytest.raises(UsageError, match="can't be named safely"):
        quoted_table(name)


def test_long_sql_is_told_in_short() -> None:
    assert in_short("UPDATE stock\n   SET sold = 1") == "UPDATE stock SET sold = 1"
    assert len(in_short("x" * 500)) == 60


def test_a_saved_page_is_put_back_where_it_was_and_nowhere_else(tmp_path: Path) -> None:
    file, note = tmp_path / "16384", tmp_path / "f1.note"
    file.write_bytes(bytes(8192) + b"g" * 8192 + bytes(8192))
    page = SavedPage(1, str(file), 8192, b"g" * 8192, b"b" * 8192)
    assert saved_page(note) is None
    page.save(note)
    assert saved_page(note) == page
    assert not page.is_damaged()
    page.damage()
    assert page.is_damaged()
    assert file.read_bytes() == bytes(8192) + b"b" * 8192 + bytes(8192)
    page.put_back()
    assert not page.is_damaged()
    assert file.read_bytes() == bytes(8192) + b"g" * 8192 + bytes(8192)
    file.unlink()
    assert not page.is_damaged(), "with the table its damage is gone"
