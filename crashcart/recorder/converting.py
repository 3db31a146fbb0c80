"""JSONL → Parquet, at a run's end: a fifth of the size, and read at once a year later."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from crashcart.recorder.reading import TABLES, Table, cut_torn_line, from_jsonl, lacking, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MEMORY = "400MB"


def convert(directory: Path) -> dict[str, int]:
    """Convert what can be converted; gives the rows of each Parquet file, by its name.

    A file with lines that are not what they should be stays as it is: the judge reads it, and says so.
    """
    import duckdb

    rows: dict[str, int] = {}
    with (
        tempfile.TemporaryDirectory(prefix=".spill-", dir=directory) as spill,
        duckdb.connect(
            config={"memory_limit": _MEMORY, "temp_directory": spill, "autoinstall_known_extensions": False}
        ) as database,
    ):
        for table in TABLES:
            jsonl = directory / f"{table}.jsonl"
            if not jsonl.exists():
                continue
            cut_torn_line(jsonl)
            try:
                if _lacking(database, jsonl, table):
                    continue
                rows[f"{table}.parquet"] = _convert_one(database, directory, table)
            except duckdb.Error:
                continue
            jsonl.unlink()
        for path in sorted((directory / "truth").glob("*.parquet")):
            rows[f"truth/{path.name}"] = _rows(database, path)
    return rows


def _convert_one(database: DuckDBPyConnection, directory: Path, table: Table) -> int:
    jsonl, parquet = directory / f"{table}.jsonl", directory / f"{table}.parquet"
    unfinished = directory / f".{table}.parquet"
    select = from_jsonl(jsonl, table, forgiving=False)
    order = {"intents": "planned_s, id", "series": "metric, labels, t", "evidence": "t, proxy, side", "pace": "t"}[
        table
    ]
    database.execute(f"COPY ({select} ORDER BY {order}) TO {quoted(unfinished)} (FORMAT parquet, COMPRESSION zstd)")
    unfinished.replace(parquet)
    return _rows(database, parquet)


def _lacking(database: DuckDBPyConnection, jsonl: Path, table: Table) -> int:
    """Lines that are JSON, but do not tell what such a line must: an error where a sample should be."""
    counted = database.execute(lacking(jsonl, table)).fetchone()
    return int(counted[0]) if counted else 0


def _rows(database: DuckDBPyConnection, parquet: Path) -> int:
    counted = database.execute("SELECT count(*) FROM read_parquet(?)", [str(parquet)]).fetchone()
    return int(counted[0]) if counted else 0
