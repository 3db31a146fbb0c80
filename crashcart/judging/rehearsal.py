"""The project's queries, asked of tables that are empty: what can't be asked is known before anything is started.

They are bound to their tables and not carried out, whatever they hold: nothing is computed, read or written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crashcart.judging.shared import named
from crashcart.model.recording import INTENT_COLUMNS
from crashcart.model.truth import Truth

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SCRAPED = (
    'CREATE SCHEMA recording; CREATE TABLE recording.series (metric VARCHAR, labels VARCHAR, t DOUBLE, "value" DOUBLE)'
)

_LINE = re.compile(r"^LINE (\d+):", re.MULTILINE)
_UNTYPED = {'"NULL"': "INTEGER"}
_ALONE: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "memory_limit": "500MB",
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


@dataclass(frozen=True, slots=True)
class Refused:
    """One query, or one table's columns, that DuckDB refuses."""

    file: str
    """Below `stack/truth/`."""
    said: str
    query: str = ""
    line: int = 1
    """Of the query."""
    source: str = ""
    """The table of `books.yaml` whose columns can't be."""


def rehearse(truth: Truth) -> Iterator[Refused]:
    """Whatever DuckDB refuses. Nothing where all can be asked.

    Nothing either where a source does not say which columns it has: then only the run can tell.
    """
    import duckdb

    if not all(source.columns for source in truth.sources.values()):
        return
    with duckdb.connect(config=_ALONE) as database:
        database.execute("PRAGMA disable_optimizer")  # it would reckon what is constant, however large
        tables = {"intents": INTENT_COLUMNS, **{name: source.columns for name, source in truth.sources.items()}}
        for name, columns in tables.items():
            said = _make(database, name, columns)
            if said:
                yield Refused("books.yaml", f"the columns of {name}: {said}", source=name)
                return
        database.execute(_SCRAPED)
        unmade = list(_share(database, truth))
        yield from unmade
        if unmade:
            return  # the others would only say that it is missing
        for file, sql in _queries(truth):
            yield from _ask(database, file, sql)


def _make(database: DuckDBPyConnection, name: str, columns: dict[str, str]) -> str:
    import duckdb

    inner = ", ".join(f"{named(column)} {kind}" for column, kind in columns.items())
    try:
        (statement,) = duckdb.extract_statements(f"CREATE TABLE {named(name)} ({inner})")
        database.execute(statement)
    except duckdb.Error as error:
        return _said(error)
    except ValueError:
        return "a type is one word or two, such as VARCHAR or DOUBLE"
    return ""


def _share(database: DuckDBPyConnection, truth: Truth) -> Iterator[Refused]:
    """In the order of their names, as the judge makes them. Who needs one that can't be made is not named."""
    unmade: list[str] = []
    for name, sql in sorted(truth.shared.items()):
        file = f"shared/{name}.sql"
        refused = list(_ask(database, file, sql)) or list(_stand_in(database, name, file, sql))
        if refused:
            if not any(f"Table with name {other} " in refused[0].said for other in unmade):
                yield refused[0]
            unmade.append(name)


def _stand_in(database: DuckDBPyConnection, name: str, file: str, sql: str) -> Iterator[Refused]:
    """An empty table with the columns that the judge's will have: made from the query it would be carried out."""
    import duckdb

    query = sql.strip().rstrip(";")
    try:
        columns = database.execute(f"DESCRIBE FROM (\n{query}\n)").fetchall()
        inner = ", ".join(f"{named(column)} {_UNTYPED.get(kind, kind)}" for column, kind, *_ in columns)
        database.execute(f"CREATE TABLE {named(name)} ({inner})")
    except duckdb.Error as error:
        yield Refused(file, f"no table can be made of it: {_said(error)}", query, 1)


def _ask(database: DuckDBPyConnection, file: str, sql: str) -> Iterator[Refused]:
    import duckdb

    query = sql.strip().rstrip(";")
    try:
        statements = duckdb.extract_statements(query)
        kinds = [statement.type for statement in statements]
        if kinds == [duckdb.StatementType.MULTI]:  # even to be explained, a part of it is carried out
            yield Refused(file, "its columns hang on what it reads: write PIVOT … ON … IN (…)", query, 1)
            return
        if kinds != [duckdb.StatementType.SELECT]:
            yield Refused(file, "it is not one query that only reads", query, 1)
            return
        database.execute(f"EXPLAIN {query}")
    except duckdb.Error as error:
        line = _LINE.search(str(error))
        yield Refused(file, _said(error), query, int(line[1]) if line else 1)


def _queries(truth: Truth) -> Iterator[tuple[str, str]]:
    for file, sql in (("exclusions.sql", truth.exclusions_sql), ("follow-up.sql", truth.follow_up_sql)):
        if sql.strip():
            yield file, sql
    for invariant in truth.invariants:
        yield f"invariants/{invariant.name}.sql", invariant.sql
        yield f"invariants/{invariant.name}.sql", invariant.examined_sql


def _said(error: Exception) -> str:
    return " ".join(line.strip() for line in str(error).split("\n\n")[0].splitlines()[:2])
