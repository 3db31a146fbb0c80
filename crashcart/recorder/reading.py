"""SQL that reads a recording's tables, whether they are Parquet already or JSONL still."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from crashcart.model.recording import INTENT_COLUMNS

Table = Literal["intents", "pace", "series", "evidence"]

TABLES: tuple[Table, ...] = ("intents", "pace", "series", "evidence")
"""What is JSONL while a run goes on and Parquet afterwards."""

_COLUMNS: dict[Table, dict[str, str]] = {
    "intents": {
        "r": "VARCHAR",
        "id": "VARCHAR",
        "session": "BIGINT",
        "phase": "VARCHAR",
        "planned_s": "DOUBLE",
        "cohorts": "JSON",
        "intended_s": "DOUBLE",
        "sent_s": "DOUBLE",
        "lines": "JSON",
        "total_cents": "BIGINT",
        "network": "VARCHAR",
        "outcome": "VARCHAR",
        "latency_ms": "DOUBLE",
        "attempts": "BIGINT",
        "status": "BIGINT",
        "problem": "VARCHAR",
        "reference": "VARCHAR",
        "order_id": "VARCHAR",
        "safe_to_retry": "BOOLEAN",
        "saw": "VARCHAR",
        "double_click": "VARCHAR",
        "done_s": "DOUBLE",
    },
    "pace": {
        "t": "BIGINT",
        "scheduled": "BIGINT",
        "started": "BIGINT",
        "late_p50_ms": "DOUBLE",
        "late_p99_ms": "DOUBLE",
        "late_max_ms": "DOUBLE",
        "in_flight": "BIGINT",
        "ops": "JSON",
    },
    "series": {"metric": "VARCHAR", "labels": "VARCHAR", "t": "DOUBLE", "value": "DOUBLE"},
    "evidence": {
        "t": "DOUBLE",
        "proxy": "VARCHAR",
        "side": "VARCHAR",
        "ok": "BOOLEAN",
        "ms": "DOUBLE",
        "error": "VARCHAR",
        "bytes": "BIGINT",
        "value": "DOUBLE",
        "part": "BIGINT",
        "whole": "BIGINT",
    },
}

NEEDED: dict[Table, tuple[str, ...]] = {
    "intents": ("id", "phase", "planned_s", "cohorts", "outcome"),
    "pace": ("t", "scheduled", "started"),
    "series": ("metric", "labels", "t", "value"),
    "evidence": ("t", "proxy", "side", "ok", "ms"),
}
"""Columns without which a row says nothing."""

_INTENTS = """
WITH lines AS MATERIALIZED (SELECT * FROM {lines}),
drawn AS (SELECT id, session, phase, planned_s, cohorts::VARCHAR AS cohorts FROM lines WHERE r = 'intent'),
sent AS (
  SELECT id, min(intended_s) AS intended_s, min(sent_s) AS sent_s, count(*) AS sends,
         max_by(total_cents, sent_s) AS total_cents, max_by(network, sent_s) AS network,
         max_by(lines::VARCHAR, sent_s) AS lines
  FROM lines WHERE r = 'send' GROUP BY id
),
ended AS (
  SELECT id, max(done_s) AS done_s, max_by(outcome, done_s) AS outcome, max_by(latency_ms, done_s) AS latency_ms,
         max_by(attempts, done_s) AS attempts, max_by(status, done_s) AS status, max_by(problem, done_s) AS problem,
         max_by(reference, done_s) AS reference, max_by(order_id, done_s) AS order_id,
         max_by(safe_to_retry, done_s) AS safe_to_retry, max_by(saw, done_s) AS saw,
         max_by(double_click, done_s) AS double_click
  FROM lines WHERE r = 'end' GROUP BY id
)
SELECT id, session, phase, planned_s, cohorts,
       coalesce(outcome, CASE WHEN sends > 0 THEN 'unknown' ELSE 'blocked' END) AS outcome,
       intended_s, sent_s, done_s, latency_ms, coalesce(attempts, sends, 0) AS attempts, status,
       nullif(problem, '') AS problem, nullif(reference, '') AS reference, nullif(order_id, '') AS order_id,
       safe_to_retry, total_cents, network, lines, nullif(saw, '') AS saw,
       nullif(double_click, '') AS double_click
FROM drawn LEFT JOIN sent USING (id) LEFT JOIN ended USING (id)
"""


_LATE = "SELECT NULL::VARCHAR AS saw, NULL::VARCHAR AS double_click WHERE false"
"""Columns that earlier recordings do not have."""


def quoted(text: str | Path) -> str:
    """A string literal of SQL."""
    return "'" + str(text).replace("'", "''") + "'"


def relation(directory: Path, table: Table) -> str | None:
    """A SELECT that gives the table; None where the recording has neither of its files.

    Columns are those of `model/recording.py`. An intent's sends and ends are folded into one row.
    """
    parquet, jsonl = directory / f"{table}.parquet", directory / f"{table}.jsonl"
    if parquet.exists():
        if table == "intents":
            columns = ", ".join(INTENT_COLUMNS)
            return f"SELECT {columns} FROM ({_LATE} UNION ALL BY NAME FROM read_parquet({quoted(parquet)}))"  # noqa: S608
        return f"SELECT * FROM read_parquet({quoted(parquet)})"  # noqa: S608 - quoted
    return from_jsonl(jsonl, table, forgiving=True) if jsonl.exists() else None


def from_jsonl(path: Path, table: Table, *, forgiving: bool) -> str:
    """A SELECT over a JSONL file. `forgiving`: lines that cannot be read are left out, else they are an error."""
    first = next(iter(_COLUMNS[table]))
    read = _read_json(path, _COLUMNS[table], forgiving=forgiving)
    lines = f"(SELECT * FROM {read} WHERE {first} IS NOT NULL)"  # noqa: S608 - our own names, and the path is quoted
    if table == "intents":
        return _INTENTS.format(lines=lines)
    return f"SELECT * FROM {lines}"  # noqa: S608 - as above


def lacking(path: Path, table: Table) -> str:
    """A SELECT that counts lines of a JSONL file which lack what every one of them tells. A value may be no number."""
    told = ("r", "id") if table == "intents" else tuple(name for name in NEEDED[table] if name != "value")
    whole = " AND ".join(f"{name} IS NOT NULL" for name in told)
    read = _read_json(path, {name: _COLUMNS[table][name] for name in told}, forgiving=False)
    return f"SELECT count(*) FROM {read} WHERE NOT ({whole})"  # noqa: S608 - as above


def _read_json(path: Path, kinds: Mapping[str, str], *, forgiving: bool) -> str:
    columns = ", ".join(f"{name}: {quoted(kind)}" for name, kind in kinds.items())
    return f"read_json({quoted(path)}, format='newline_delimited', columns={{{columns}}}, ignore_errors={forgiving})"


def unreadable_lines(directory: Path, table: Table) -> int:
    """Lines of a JSONL file that are not JSON. The last one may have been cut short by a kill, and does not count."""
    path = directory / f"{table}.jsonl"
    if (directory / f"{table}.parquet").exists() or not path.exists():
        return 0
    bad = 0
    with path.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                break
            try:
                msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                bad += 1
    return bad


def cut_torn_line(path: Path) -> None:
    """A process that was killed while it wrote leaves half a line, of which nothing was done yet."""
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return
        tail = min(size, 1 << 20)
        file.seek(size - tail)
        content = file.read(tail)
        if not content.endswith(b"\n"):
            file.truncate(size - tail + content.rfind(b"\n") + 1)
