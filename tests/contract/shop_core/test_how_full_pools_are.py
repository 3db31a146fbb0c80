"""What /metrics says of pools is so: taken, free, waited for."""

from __future__ import annotations

import asyncio

import pytest

from stack.kit import database
from stack.kit.metrics import Places
from tests.contract.shop_core.dependencies import OK, Dependency, Line, client_of, until
from tests.contract.shop_core.running import run
from tests.contract.shop_core.servers import PostgresServer


def test_a_clients_pool_is_full_while_its_dependency_hangs_and_empty_after(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        go_on = asyncio.Event()

        async def talk(line: Line) -> None:
            while await line.request():
                await go_on.wait()
                await line.say(OK)

        async with Dependency().talking(talk) as there:
            client = client_of(monkeypatch, there.port, pool=3)
            assert client.places() == Places(0, 3, 0)
            calls = [asyncio.create_task(client.call("POST", "/")) for _ in range(5)]
            await until(lambda: client.places() == Places(3, 3, 2))
            go_on.set()
            await asyncio.gather(*calls)
            assert client.places() == Places(0, 3, 0)
            await client.close()

    run(main())


def test_a_databases_pool_is_full_while_statements_take_their_time(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINK_SLEEPY_DB", f"postgresql://shop@127.0.0.1:{postgres.port}/postgres")

    async def main() -> None:
        sleepy = await database.connect("sleepy-db", min_size=2, max_size=2)
        await until(lambda: sleepy.places() == Places(0, 2, 0))
        sleepers = [asyncio.create_task(sleepy.fetchval("select pg_sleep(0.5)")) for _ in range(3)]
        await until(lambda: sleepy.places() == Places(2, 2, 1))
        await asyncio.gather(*sleepers)
        assert sleepy.places() == Places(0, 2, 0)
        await sleepy.close()

    run(main())
