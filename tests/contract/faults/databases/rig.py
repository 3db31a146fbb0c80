"""A server to break, faults of every kind, and clients to notice."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from crashcart.faults import decode_settings, registry
from crashcart.faults.database_sessions import Session
from crashcart.model.plan import PlannedFault
from crashcart.ports import FaultKind, Observer, World
from crashcart.runtimes.local_stack import LocalStack
from tests.contract.runtime.little_stack import COMMAND, DATABASE, design

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
        self.planned = PlannedFault(fault_id, kind, raw, "", targets, (), links, 0.0, 10.0, effect)
        self.steps = self.kind.steps(settings, self.planned, stack.topology)
        observer = self.kind.observer(settings, self.planned, stack.topology)
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


class MakeFault(Protocol):
    """A fault that is undone, come what may, when the test is over."""

    def __call__(self, kind: str, raw: dict[str, Any], fault_id: str = "f1") -> Fault: ...


def client(address: str, role: str = "shop") -> Session:
    """One as any of the shop's."""
    return Session(address, "client", statement_s=10.0, lock_s=0.2, role=role)


def contents(address: str) -> list[tuple[int, int, str]]:
    with client(address) as session:
        return [(id_, sold, name) for id_, sold, name in session.rows("SELECT * FROM stock ORDER BY id")]
