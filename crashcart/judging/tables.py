"""A recording's tables, as DuckDB is to see them: rows that are whole, and nothing else within reach."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crashcart.judging.shared import named
from crashcart.model.plan import Plan
from crashcart.model.recording import FILES, INTENT_COLUMNS
from crashcart.recorder import relation, unreadable_lines
from crashcart.recorder.reading import NEEDED, TABLES, Table, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_EMPTY: dict[Table, str] = {
    "intents": ", ".join(f"NULL::{kind} AS {name}" for name, kind in INTENT_COLUMNS.items()),
    "pace": "NULL::BIGINT AS t, NULL::BIGINT AS scheduled, NULL::BIGINT AS started, NULL::DOUBLE AS late_p99_ms",
    "series": "NULL::VARCHAR AS metric, NULL::VARCHAR AS labels, NULL::DOUBLE AS t, NULL::DOUBLE AS value",
    "evidence": "NULL::DOUBLE AS t, NULL::VARCHAR AS proxy, NULL::VARCHAR AS side, true AS ok, NULL::DOUBLE AS ms, "
    "NULL::VARCHAR AS error, NULL::BIGINT AS bytes, NULL::DOUBLE AS value",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What became of the recording's own tables."""

    missing: tuple[Table, ...]
    """They stand there empty."""
    unreadable: tuple[Table, ...]
    """They lack rows that are not what they should be."""


def define(database: DuckDBPyConnection, directory: Path, plan: Plan, *, verified: bool) -> Found:
    """`intents`, every source of the books that was read, and `recording.pace`, `.series` and `.evidence`.

    `verified`: it is as it was recorded, so that nobody needs to look for rows that are not whole.
    """
    # Queries come with the recording, which may be somebody else's: they get to read this folder and nothing else.
    database.execute(f"SET allowed_directories = [{quoted(directory)}]")
    database.execute("CREATE SCHEMA recording")
    # Witnesses show times; they must not depend on where it is judged.
    database.execute("SET TimeZone = 'UTC'")
    selects = {table: relation(directory, table) for table in TABLES}
    unreadable = [
        table
        for table, select in selects.items()
        if select is not None and not _define(database, directory, table, select, verified=verified)
    ]
    missing = [table for table, select in selects.items() if select is None]
    for table in missing:
        database.execute(f"CREATE TABLE {_name(table)} AS SELECT {_EMPTY[table]} WHERE false")
    for source in plan.truth.sources:
        path = directory / FILES["truth"] / f"{source}.parquet"
        if path.exists():
            database.execute(f"CREATE VIEW {named(source)} AS FROM read_parquet({quoted(path)})")
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    return Found(tuple(missing), tuple(unreadable))


def _name(table: Table) -> str:
    return table if table == "intents" else f"recording.{table}"


def _define(database: DuckDBPyConnection, directory: Path, table: Table, select: str, *, verified: bool) -> bool:
    """Whether all of it could be read. In a finished recording JSONL is left of what could not be converted."""
    parquet = (directory / f"{table}.parquet").exists()
    if verified and parquet:
        database.execute(f"CREATE VIEW {_name(table)} AS {select}")
        return True
    whole = " AND ".join(f"{column} IS NOT NULL" for column in NEEDED[table])
    database.execute(f"CREATE TABLE {_name(table)} AS FROM ({select}) WHERE {whole}")
    lost = f"SELECT count(*) FROM ({select}) WHERE NOT ({whole})"  # noqa: S608 - our own names
    counted = database.execute(lost).fetchone()
    return not verified and unreadable_lines(directory, table) == 0 and counted == (0,)
