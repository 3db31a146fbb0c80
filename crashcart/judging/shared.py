"""Tables that several invariants ask for, made once: the project's `stack/truth/shared/*.sql`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crashcart.model.errors import CrashcartError
from crashcart.model.truth import Truth

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LENIENT = "-- missing sources: empty"
"""A line of a shared query that only says where to look, never what is seen: what could not be read is empty there."""


class OutOfRoom(CrashcartError):
    """This machine has not enough memory or disk to judge a recording. That says nothing of the recording."""


def mind_the_machine(error: Exception) -> None:
    """Raise OutOfRoom where a query failed for want of room: on another machine it would have been answered."""
    import duckdb

    said = str(error).splitlines()[0]
    if isinstance(error, duckdb.OutOfMemoryException) or "No space left" in said:
        raise OutOfRoom(
            f"there is not enough memory or disk to judge it: {said}",
            remedy="free some, or set TMPDIR to a folder with room, and judge again",
        ) from error


def make_shared(database: DuckDBPyConnection, truth: Truth) -> dict[str, str]:
    """Make each of them, by name. Gives those that could not be made: table → why."""
    import duckdb

    unmade: dict[str, str] = {}
    own = "SELECT table_name FROM duckdb_columns() WHERE schema_name = 'main'"
    present = {name for (name,) in database.execute(own).fetchall()}
    missing = {name: source.columns for name, source in truth.sources.items() if name not in present and source.columns}
    for name, sql in sorted(truth.shared.items()):
        stand_ins = missing if LENIENT in sql.splitlines() else {}
        try:
            for source, columns in stand_ins.items():
                inner = ", ".join(f"{named(column)} {kind}" for column, kind in columns.items())
                database.execute(f"CREATE TABLE {named(source)} ({inner})")
            database.execute(f"CREATE TABLE {named(name)} AS FROM (\n{one_query(database, sql)}\n)")
        except duckdb.Error as error:
            mind_the_machine(error)
            unmade[name] = str(error).splitlines()[0]
        finally:
            for source in stand_ins:
                database.execute(f"DROP TABLE IF EXISTS {named(source)}")
    return unmade


def one_query(database: DuckDBPyConnection, sql: str) -> str:
    """The query, to be put between parentheses. duckdb.Error where it is anything but one SELECT that stands by itself.

    Queries come with a recording, which may be somebody else's. A second statement could write into its folder, drop
    what the next query asks for, or answer in place of the first.
    """
    import duckdb

    kinds = [statement.type for statement in database.extract_statements(sql)]
    if kinds != [duckdb.StatementType.SELECT]:
        raise duckdb.InvalidInputException("it is not one query: write one SELECT, and nothing before or after it")
    return sql.strip().rstrip(";")


def named(name: str) -> str:
    """An identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'
