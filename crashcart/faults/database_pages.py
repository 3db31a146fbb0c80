"""A page of a table on disk: where it is, what it holds, damaging it and putting it back.

The server must not have the page in memory meanwhile: it would write its own over the damage, or go on reading it from
there. So the table is locked for a moment, a checkpoint made (else a crash would mend the page from the log) and the
page put out of the server's buffers; then its bytes are altered. From then on nobody can read the page, and what can't
be read can't be changed: put back, it is what it was.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from crashcart.faults.database_sessions import DatabaseRefused, Session
from crashcart.model.errors import CrashcartError

CORRUPTED = "XX001"
"""SQLSTATE of a page whose checksum is wrong."""
ALTERED_BYTES = 16
EVICTED_AFTER = 20
"""Attempts: the server's background processes may hold the page for a moment."""

_ROWS = "SELECT count(*) FROM {table} WHERE ctid >= '({page},0)' AND ctid < '({after},0)'"
_PLACE = """
SELECT pg_relation_filepath(oid), pg_relation_size(oid), relkind::text, current_setting('block_size')::int,
       pg_size_bytes(current_setting('segment_size')), current_setting('data_checksums') = 'on'
FROM pg_class WHERE oid = to_regclass($1)
"""
_EVICT = """
SELECT count(pg_buffercache_evict(bufferid)) FROM pg_buffercache
WHERE reldatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND relfilenode = pg_relation_filenode(to_regclass($1)) AND relforknumber = 0 AND relblocknumber = $2
"""


class SavedPage(msgspec.Struct, frozen=True):
    """A page before and after it was damaged, and where it is. As JSON in a file: enough to put it back."""

    page: int
    file: str
    offset: int
    good: bytes
    bad: bytes

    def save(self, path: Path) -> None:
        """On disk, whole or not at all, when this returns."""
        partial = path.with_name(f"{path.name}.partial")
        with partial.open("wb") as file:
            file.write(msgspec.json.encode(self))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    def damage(self) -> None:
        """Write the damaged bytes."""
        self._write(self.bad)

    def is_damaged(self) -> bool:
        """Whether exactly the damaged bytes are there: nobody has written the page since."""
        try:
            with Path(self.file).open("rb") as file:
                return os.pread(file.fileno(), len(self.bad), self.offset) == self.bad
        except FileNotFoundError:
            return False  # the table was emptied or dropped, and the page with it

    def put_back(self) -> None:
        """Write the bytes of before."""
        self._write(self.good)

    def _write(self, content: bytes) -> None:
        with Path(self.file).open("r+b") as file:
            os.pwrite(file.fileno(), content, self.offset)
            os.fsync(file.fileno())


def saved_page(path: Path) -> SavedPage | None:
    """What was saved there; None where nothing was."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=SavedPage)
    except FileNotFoundError:
        return None


def page_holding(session: Session, query: str) -> int:
    """The page of the row whose `ctid` the query gives. CrashcartError where it gives something else."""
    answer = session.value(query)
    if not (isinstance(answer, tuple) and len(answer) == 2 and all(isinstance(part, int) for part in answer)):
        remedy = "write one such as SELECT ctid FROM products WHERE sku = 'G00001'"
        raise CrashcartError(f"`holding` gave {answer!r:.60} and no ctid", remedy=remedy)
    return int(answer[0])


def rows_in(session: Session, table: str, page: int) -> int:
    """Rows to be seen in that page. DatabaseRefused with CORRUPTED where it can't be read."""
    session.execute("SET enable_seqscan = off")  # that page alone, and not all others with it
    return int(session.value(_ROWS.format(table=table, page=page, after=page + 1)))


def readable(session: Session, table: str, page: int) -> bool:
    """Whether the page can be read."""
    try:
        rows_in(session, table, page)
    except DatabaseRefused as refused:
        if refused.sqlstate != CORRUPTED:
            raise
        return False
    return True


def read_page(session: Session, data_dir: Path, table: str, page: int) -> SavedPage:
    """The page as it is on disk, and as it will be. To be called while the table is locked: what it puts out stays out.

    Raises:
        CrashcartError: there is no such page, nothing in it, damage would not be noticed, or it stays in memory.
    """
    found = session.rows(_PLACE, table)
    if not found or found[0][2] not in ("r", "m"):
        raise CrashcartError(f"{table} is not a table with pages of its own")
    path, size, _, page_size, segment_size, checksums = found[0]
    if not checksums:
        raise CrashcartError("its pages have no checksums: damage would go unnoticed", remedy="initdb --data-checksums")
    if page >= size // page_size:
        raise CrashcartError(f"{table} has {size // page_size} pages, counted from 0, and no page {page}")
    if rows_in(session, table, page) == 0:
        raise CrashcartError(f"page {page} of {table} holds no rows: nobody would miss it")
    session.execute("CHECKPOINT")
    evict(session, table, page)
    segment, offset = divmod(page * page_size, segment_size)
    file = data_dir / (f"{path}.{segment}" if segment else path)
    with file.open("rb") as content:
        good = os.pread(content.fileno(), page_size, offset)
    return SavedPage(page, str(file), offset, good, _altered(good))


def evict(session: Session, table: str, page: int) -> None:
    """Put the page out of the server's memory. Within a transaction, which is rolled back then: it leaves no trace.

    Raises:
        CrashcartError: it stays there, or the server has no means to do it.
    """
    try:
        session.execute("CREATE EXTENSION IF NOT EXISTS pg_buffercache")
        for _ in range(EVICTED_AFTER):
            if session.value(_EVICT, table, page) == 0:
                return
    except DatabaseRefused as refused:
        remedy = "Postgres 17 or newer, with the extension pg_buffercache, and the superuser postgres"
        raise CrashcartError(f"pages can't be put out of memory: {refused.what}", remedy=remedy) from refused
    raise CrashcartError(f"page {page} of {table} stays in the server's memory: somebody uses it all the time")


def _altered(page: bytes) -> bytes:
    """Some bytes at the end turned over: there the first row is, and no header that would tell more than a checksum."""
    at = len(page) - 2 * ALTERED_BYTES
    turned = bytes(byte ^ 0xFF for byte in page[at : at + ALTERED_BYTES])
    return page[:at] + turned + page[at + ALTERED_BYTES :]
