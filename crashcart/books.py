"""The books, read once nothing is in flight: straight from the database servers, and from the outsiders' own ledgers.

What cannot be read is said, and leaves no table behind: the invariants that need it then prove nothing.
"""

from __future__ import annotations

import asyncio
import math
import shutil
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import asyncpg

from crashcart.model.topology import Topology
from crashcart.model.truth import Source, Truth
from crashcart.recorder.reading import cut_torn_line, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CONNECT_S = 5.0
ASK_S = 5.0
"""Longest that one question whether anything is in flight may take."""
READ_S = 60.0
"""Longest that one table may take to read."""
POLL_S = 0.15
LEFT_WITHIN_S = 0.1
"""How often somebody who reads the books looks whether it is to end."""
_MOST_BYTES = 4 << 20
_TROUBLE = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_T = TypeVar("_T")


class Shelf(Protocol):
    """Where the books stand: what is asked of a `Stack`."""

    @property
    def topology(self) -> Topology:
        """Which instances there are."""

    def file(self, instance: str, name: str) -> Path:
        """A file in the instance's data folder; it may not exist."""

    def database_address(self, service: str) -> str:
        """postgresql:// address of the server itself, beside the proxy."""


class Leaving(Protocol):
    """Who may want it to end: what is asked of `Interrupts`."""

    def held(self) -> AbstractContextManager[None]:
        """Inside, no request raises; it does at the end."""

    @property
    def wanted(self) -> bool:
        """Whether a request waits for that."""


@dataclass(frozen=True, slots=True)
class QuiesceResult:
    """Whether everything came to rest. `pending`: question → what its last answer was, None where there was none."""

    quiet: bool
    took_s: float
    pending: Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class BooksResult:
    """`rows`: source → rows in `truth/<source>.parquet`. `errors`: source → why there is no such file."""

    rows: Mapping[str, int]
    errors: Mapping[str, str]


def wait_quiesced(truth: Truth, stack: Shelf, leaving: Leaving) -> QuiesceResult:
    """Wait until every question of `truth.quiesce` is answered with 0, twice in a row; at most `within_s`."""
    return _run(partial(_wait_quiesced, truth, stack), leaving)


def get_ready() -> None:
    """Load what reading the books takes. An interrupt that comes within DuckDB's own loading aborts the process."""
    import duckdb

    assert duckdb.__version__


def read_books(truth: Truth, stack: Shelf, out: Path, leaving: Leaving) -> BooksResult:
    """Read every source into `out/<source>.parquet`, one snapshot a server. What could not be read has no file."""
    import duckdb

    out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, int] = {}
    try:
        errors = _run(partial(_copy_databases, truth, stack, out), leaving)
        with duckdb.connect(
            config={"temp_directory": str(out / ".spill"), "autoinstall_known_extensions": False}
        ) as database:
            for name, source in truth.sources.items():
                if name in errors:
                    continue
                try:
                    relation = _ledger(name, source, stack, out) if source.ledger else _table(name, source, out)
                    rows[name] = _to_parquet(database, relation, out / f"{name}.parquet")
                except (OSError, ValueError, duckdb.Error) as error:
                    errors[name] = _one_line(error)
    finally:
        for left in out.glob(".*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    return BooksResult(dict(sorted(rows.items())), dict(sorted(errors.items())))


def _run(act: Callable[[], Coroutine[Any, Any, _T]], leaving: Leaving) -> _T:
    """On an event loop. A signal that raised there would leave a loop half made, or be swallowed by a callback."""

    async def unless_left() -> _T:
        task = asyncio.ensure_future(act())
        while not (await asyncio.wait({task}, timeout=LEFT_WITHIN_S))[0]:
            if leaving.wanted:
                task.cancel()
        return task.result()

    with leaving.held():
        return asyncio.run(unless_left())


async def _wait_quiesced(truth: Truth, stack: Shelf) -> QuiesceResult:
    began = time.monotonic()
    asking = {
        name: _AskingAService(source, stack) if source.gauge else _AskingAServer(source, stack)
        for name, source in truth.quiesce.zero.items()
    }
    quiet_before = False
    try:
        while True:
            answers = await asyncio.gather(*(one.ask() for one in asking.values()))
            pending = dict(zip(asking, answers, strict=True))
            quiet = all(answer == 0 for answer in answers)
            took_s = time.monotonic() - began
            # Servers are asked one beside the other: something may have moved from one that was asked late to one
            # that was asked early. Two looks see it.
            if (quiet and (quiet_before or not asking)) or took_s >= truth.quiesce.within_s:
                return QuiesceResult(quiet, took_s, pending)
            quiet_before = quiet
            await asyncio.sleep(POLL_S)
    finally:
        await asyncio.gather(*(one.close() for one in asking.values()))


class _AskingAServer:
    """One question, on a connection of its own that is made anew when it breaks."""

    def __init__(self, source: Source, stack: Shelf) -> None:
        self._source = source
        self._address = stack.database_address(source.database)
        self._connection: asyncpg.Connection | None = None

    async def ask(self) -> int | None:
        """The count; None where there is no answer in time."""
        try:
            if self._connection is None:
                self._connection = await asyncpg.connect(self._address, timeout=CONNECT_S)
            answer = await self._connection.fetchval(self._source.sql, timeout=ASK_S)
        except _TROUBLE:
            await self.close()
            return None
        return answer if isinstance(answer, int) else None

    async def close(self) -> None:
        """Idempotent; does not wait for a server that hangs."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


class _AskingAService:
    """One gauge, of each of its instances."""

    def __init__(self, source: Source, stack: Shelf) -> None:
        self._gauge = source.gauge
        self._addresses = [one.address for one in stack.topology.instances if one.service == source.service]

    async def ask(self) -> int | None:
        """The sum, rounded up; None where one does not answer in time, or does not know the gauge."""
        answers = await asyncio.gather(*(_gauge(address, self._gauge) for address in self._addresses))
        values = [value for value in answers if value is not None]
        return math.ceil(sum(values)) if values and len(values) == len(answers) else None

    async def close(self) -> None:
        """Each question has a connection of its own."""


async def _gauge(address: str, name: str) -> float | None:
    """All samples of the metric that a service tells, added; None where it can't be read there."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        async with asyncio.timeout(ASK_S):
            text = await _metrics(address)
        samples = [one for family in text_string_to_metric_families(text) for one in family.samples if one.name == name]
    except (OSError, TimeoutError, EOFError, ValueError):
        return None
    total = sum(one.value for one in samples)
    return total if samples and math.isfinite(total) else None


async def _metrics(address: str) -> str:
    """What is answered to GET /metrics. It can be given up at any moment, also where an answer only trickles."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=_MOST_BYTES)
    try:
        writer.write(f"GET /metrics HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if head.split(b" ", 2)[1:2] != [b"200"]:
            raise ValueError("an answer that is no metrics")
        body = await reader.read(_MOST_BYTES)
        while more := await reader.read(_MOST_BYTES):
            body += more
            if len(body) > _MOST_BYTES:
                raise ValueError("an answer that is too long")
        return body.decode("utf-8")
    finally:
        writer.close()


async def _copy_databases(truth: Truth, stack: Shelf, out: Path) -> dict[str, str]:
    by_database: dict[str, dict[str, Source]] = {}
    for name, source in truth.sources.items():
        if source.database:
            by_database.setdefault(source.database, {})[name] = source
    found = await asyncio.gather(*(_copy_one(stack, name, group, out) for name, group in by_database.items()))
    return {name: error for errors in found for name, error in errors.items()}


async def _copy_one(stack: Shelf, database: str, sources: Mapping[str, Source], out: Path) -> dict[str, str]:
    errors: dict[str, str] = {}
    try:
        async with _snapshot(stack.database_address(database)) as connection:
            for name, source in sources.items():
                errors.update(await _copy_source(connection, name, source, out))
    except (*_TROUBLE, KeyError) as error:
        text = f"{database} could not be read: {_one_line(error)}"
        return {**dict.fromkeys(sources, text), **errors}
    return errors


async def _copy_source(connection: asyncpg.Connection, name: str, source: Source, out: Path) -> dict[str, str]:
    """An error in one table's query leaves the others readable: each has a savepoint of its own."""
    try:
        async with connection.transaction():
            await connection.copy_from_query(
                source.sql.strip().rstrip(";"), output=out / f".{name}.csv", format="csv", header=True, timeout=READ_S
            )
    except asyncpg.PostgresError as error:
        return {name: f"{source.database}: {_one_line(error)}"}
    return {}


@asynccontextmanager
async def _snapshot(address: str) -> AsyncIterator[asyncpg.Connection]:
    settings = {"statement_timeout": str(int(READ_S * 1000)), "timezone": "UTC"}
    connection = await asyncpg.connect(address, timeout=CONNECT_S, server_settings=settings)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection
    finally:
        connection.terminate()


def _table(name: str, source: Source, out: Path) -> str:
    path = out / f".{name}.csv"
    with path.open(encoding="utf-8") as file:
        header = tuple(file.readline().rstrip("\n").split(","))
    if source.columns and header != tuple(source.columns):
        raise ValueError(f"the query gives {', '.join(header)}; declared are {', '.join(source.columns)}")
    columns = _columns(source.columns or dict.fromkeys(header, "VARCHAR"))
    # An empty field is NULL and a quoted empty one is the empty string, as Postgres writes them.
    options = "header=true, auto_detect=false, nullstr='', allow_quoted_nulls=false, quote='\"', escape='\"'"
    return f"read_csv({quoted(path)}, columns={columns}, {options})"


def _ledger(name: str, source: Source, stack: Shelf, out: Path) -> str:
    instances = sorted(one.name for one in stack.topology.instances if one.service == source.ledger)
    if not instances:
        raise ValueError(f"there is no service {source.ledger}")
    copies = []
    for index, instance in enumerate(instances):
        original = stack.file(instance, "ledger.jsonl")
        if not original.exists():
            raise ValueError(f"{instance} kept no ledger.jsonl")
        copy = out / f".{name}-{index}.jsonl"
        shutil.copyfile(original, copy)
        cut_torn_line(copy)
        copies.append(quoted(copy))
    columns = _columns(source.columns or {"line": "JSON"})
    return f"read_json([{', '.join(copies)}], format='newline_delimited', columns={columns})"


def _columns(columns: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{quoted(name)}: {quoted(kind)}" for name, kind in columns.items()) + "}"


def _to_parquet(database: DuckDBPyConnection, relation: str, path: Path) -> int:
    unfinished = path.with_name(f".{path.name}")
    copy = f"COPY (FROM {relation}) TO {quoted(unfinished)} (FORMAT parquet, COMPRESSION zstd)"
    database.execute(copy)
    unfinished.replace(path)
    counted = database.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchone()
    return int(counted[0]) if counted else 0


def _one_line(error: BaseException) -> str:
    lines: Iterable[str] = str(error).splitlines() or [type(error).__name__]
    return next(iter(lines)) or type(error).__name__
