"""The project's queries, asked of tables that are empty: what can't be asked is known before anything is started."""

from __future__ import annotations

from collections.abc import Iterator

from crashcart.judging.shared import make_shared, named
from crashcart.model.recording import INTENT_COLUMNS
from crashcart.model.truth import Truth


def rehearse(truth: Truth) -> Iterator[tuple[str, str]]:
    """Whatever DuckDB refuses: (file below `stack/truth/`, what it says). Nothing where all can be asked.

    Nothing either where a source does not say which columns it has: then only the run can tell.
    """
    import duckdb

    if not all(source.columns for source in truth.sources.values()):
        return
    with duckdb.connect(config={"threads": 1, "autoinstall_known_extensions": False}) as database:
        tables = {"intents": INTENT_COLUMNS, **{name: source.columns for name, source in truth.sources.items()}}
        for name, columns in tables.items():
            inner = ", ".join(f"{named(column)} {kind}" for column, kind in columns.items())
            try:
                database.execute(f"CREATE TABLE {named(name)} ({inner})")
            except duckdb.Error as error:
                yield "books.yaml", f"the columns of {name}: {_said(error)}"
                return
        database.execute("SET enable_external_access = false")
        unmade = make_shared(database, truth)
        for name, why in unmade.items():
            if not any(f"Table with name {other} " in why for other in unmade):
                yield f"shared/{name}.sql", why
        if unmade:
            return  # the others would only say that it is missing
        for file, sql in _queries(truth):
            try:
                database.execute(f"EXPLAIN {sql.strip().rstrip(';')}")
            except duckdb.Error as error:
                yield file, _said(error)


def _queries(truth: Truth) -> Iterator[tuple[str, str]]:
    for file, sql in (("exclusions.sql", truth.exclusions_sql), ("follow-up.sql", truth.follow_up_sql)):
        if sql.strip():
            yield file, sql
    for invariant in truth.invariants:
        yield f"invariants/{invariant.name}.sql", invariant.sql
        yield f"invariants/{invariant.name}.sql", invariant.examined_sql


def _said(error: Exception) -> str:
    return " ".join(line.strip() for line in str(error).split("\n\n")[0].splitlines()[:2])
