"""Fills an empty inventory database with the catalogue.

    python -m stack.inventory.seed postgresql://shop@127.0.0.1:5432/shop

Run once, into the database that all runs are copied from. One that is filled already stays as it is: Compose runs
this at each `up`. Without an argument it takes DATABASE_URL.
"""

from __future__ import annotations

import asyncio
import os
import sys

import asyncpg

from stack.catalogue import products

COLUMNS = ("rank", "sku", "name", "price_cents", "business_line", "initial", "on_hand")


async def seed(address: str) -> int:
    """Copy the catalogue in; gives the number of products, 0 where there are some. Raises what asyncpg raises."""
    connection = await asyncpg.connect(address, ssl=False)
    try:
        if await connection.fetchval("SELECT EXISTS (SELECT FROM products)"):
            return 0
        items = list(products())
        rows = [
            (item.rank, item.sku, item.name, item.price_cents, item.business_line, item.initial, item.initial)
            for item in items
        ]
        opening = [(item.sku, item.initial) for item in items]
        async with connection.transaction():
            await connection.copy_records_to_table("products", records=rows, columns=COLUMNS)
            await connection.copy_records_to_table("opening_stock", records=opening, columns=("sku", "pieces"))
        # Statistics and visibility as after a night's rest, so that the first minute plans as the second.
        await connection.execute("VACUUM (ANALYZE, FREEZE) products")
        return len(rows)
    finally:
        await connection.close()


def main() -> int:
    """Exit 0 when filled, 2 without an address."""
    address = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("DATABASE_URL", "")
    if not address:
        sys.stderr.write("usage: python -m stack.inventory.seed postgresql://shop@127.0.0.1:5432/shop\n")
        return 2
    count = asyncio.run(seed(address))
    sys.stdout.write(f"{count} products\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
