"""How the books are read after a run, and what must hold of them."""

from __future__ import annotations

import msgspec


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table of the truth: a query on a database server, read directly, or a service's own append-only ledger."""

    database: str = ""
    """A service of kind postgres …"""
    sql: str = ""
    """… and what to read of it."""
    ledger: str = ""
    """A service that keeps `ledger.jsonl` in its data folder."""
    columns: dict[str, str] = {}
    """Column → DuckDB type: the table exists with these, even when nothing was written."""
    service: str = ""
    """What is asked whether it is at rest: each of this service's instances …"""
    gauge: str = ""
    """… for this metric of its own at GET /metrics, beside every proxy; the answer is their sum."""


class Quiesce(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing is in flight any more when each query and each gauge answers 0."""

    within_s: float
    zero: dict[str, Source]


class Invariant(msgspec.Struct, frozen=True):
    """What must hold: each row of `sql` is a witness against it; `examined_sql` says how many things were looked at."""

    name: str
    title: str
    why: str
    sql: str
    examined_sql: str
    min_examined: int = 1


class Truth(msgspec.Struct, frozen=True):
    """`stack/truth/` as data; the plan carries all of it, so that a recording can be judged anywhere."""

    sources: dict[str, Source]
    quiesce: Quiesce
    invariants: tuple[Invariant, ...]
    exclusions_sql: str = ""
    """SQL over sources and `intents`: a row (intent_id, outcome) per declined or sold-out intent the books confirm.

    It may also say how intents that ended `unknown` stand in the books (`ok`, `declined`, …): then they no longer are.
    """
    max_unknown_share: float = 0.05
    """More unknown intents than this share, after the books were read, and the invariants are inconclusive."""
    average_order_cents: int = 0
    shared: dict[str, str] = {}
    """Table → query: what several invariants ask for, made once from sources, `intents` and tables named before it."""
    series: tuple[str, ...] = ()
    """Metrics of the services' own that invariants ask of `recording.series`, beside those that are recorded anyway."""
    follow_up_sql: str = ""
    """SQL over sources: a row (key, told_at) per message to a shopper whose order failed. `key` is an intent's id."""
