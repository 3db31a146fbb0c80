"""Reading a table of which single pages are damaged: everything but them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stack.kit.database import Database, DataDamaged, Record

_MOST_PAGES = 32
_END = (4_294_967_295, 0)
Place = tuple[int, int]
"""(page, row) as Postgres counts them in `ctid`."""


async def around_damage(database: Database, between: str) -> list[Record]:
    """All rows that can be read. `between` reads from the place $1 up to, and without, the place $2.

    Each page is found by the server's own complaint. Raises DataDamaged where there are too many of them, or where it
    is something else than the table that is damaged.
    """
    damaged: list[int] = []
    while True:
        try:
            return [row for low, high in gaps(damaged) for row in await database.fetch(between, low, high)]
        except DataDamaged as damage:
            if damage.block is None or damage.block in damaged or len(damaged) == _MOST_PAGES:
                raise
            damaged.append(damage.block)


def gaps(damaged: Sequence[int]) -> Iterator[tuple[Place, Place]]:
    """The places between damaged pages."""
    low: Place = (0, 0)
    for page in sorted(damaged):
        if low < (page, 0):
            yield low, (page, 0)
        low = (page + 1, 0)
    yield low, _END
