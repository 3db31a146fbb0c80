"""The database's init command: gets the address as its last argument."""

import asyncio
import sys

import asyncpg


async def fill() -> None:
    connection = await asyncpg.connect(sys.argv[-1])
    await connection.execute("INSERT INTO notes VALUES (0, 'from the command')")
    await connection.close()


asyncio.run(fill())
