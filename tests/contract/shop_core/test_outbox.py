"""The outbox: every message arrives at least once, in order, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest

from stack.kit import database
from stack.kit.database import Database
from stack.kit.outbox import DDL, Message, OutboxRelay
from tests.contract.shop_core.running import run
from tests.contract.shop_core.servers import PostgresServer, Proxy, ToxiproxyServer

POST = """
INSERT INTO outbox (topic, key, payload)
SELECT $1, key, jsonb_build_object('to', key) FROM unnest($2::text[]) AS key
"""
PENDING = "SELECT count(*) FROM outbox WHERE delivered_at IS NULL AND topic = 'mail'"


class Receiver:
    """Takes messages, or is told not to; remembers what it was given."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.refuses: set[str] = set()
        self.changed = asyncio.Event()

    async def deliver(self, messages: Sequence[Message]) -> set[int]:
        taken = [message for message in messages if message.key not in self.refuses]
        self.taken += taken
        self.changed.set()
        return {message.id for message in taken}

    async def until(self, count: int) -> list[str]:
        async with asyncio.timeout(15):
            while len(self.taken) < count:
                self.changed.clear()
                await self.changed.wait()
        return [message.key for message in self.taken]


@pytest.fixture
def link(postgres: PostgresServer, toxiproxy: ToxiproxyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    postgres.sql("DROP DATABASE IF EXISTS letters WITH (FORCE)", "postgres")
    postgres.sql("CREATE DATABASE letters", "postgres")
    postgres.sql(DDL, "letters")
    link = toxiproxy.proxy("any.letters-db", postgres.port)
    monkeypatch.setenv("LINK_LETTERS_DB", f"postgresql://shop@127.0.0.1:{link.port}/letters")
    yield link
    link.remove()


@asynccontextmanager
async def relaying(receiver: Receiver, relays: int = 1, batch: int = 50) -> AsyncIterator[tuple[Database, OutboxRelay]]:
    letters = await database.connect("letters-db", min_size=2, max_size=4)
    made = [
        OutboxRelay(letters, receiver.deliver, topics=["mail"], batch=batch, poll_s=0.05, lease_s=0.5, linger_s=0.01)
        for _ in range(relays)
    ]
    loops = [asyncio.create_task(relay.run()) for relay in made]
    try:
        yield letters, made[0]
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await letters.close()


async def post(letters: Database, *keys: str, topic: str = "mail") -> None:
    await letters.execute(POST, topic, list(keys))


async def until_delivered(letters: Database) -> None:
    async with asyncio.timeout(15):
        while await letters.fetchval(PENDING):  # noqa: ASYNC110 - the table does not tell
            await asyncio.sleep(0.01)


def test_messages_arrive_in_order_with_what_is_in_them(link: Proxy) -> None:
    async def main() -> None:
        receiver = Receiver()
        async with relaying(receiver, batch=7) as (letters, relay):
            keys = [f"k{n:03d}" for n in range(100)]
            await post(letters, *keys)
            relay.notify()
            assert await receiver.until(100) == keys
            assert receiver.taken[3].payload == {"to": "k003"}
            await until_delivered(letters)
            assert await relay.count_pending() == 0

    run(main())


def test_a_message_that_is_refused_is_tried_again_and_holds_up_no_other(link: Proxy) -> None:
    async def main() -> None:
        receiver = Receiver()
        receiver.refuses = {"b"}
        async with relaying(receiver) as (letters, _):
            await post(letters, "a", "b", "c")
            assert await receiver.until(2) == ["a", "c"]
            receiver.refuses = set()
            assert await receiver.until(3) == ["a", "c", "b"]
            await until_delivered(letters)

    run(main())


def test_topics_of_other_relays_are_left_alone(link: Proxy) -> None:
    async def main() -> None:
        receiver = Receiver()
        async with relaying(receiver) as (letters, _):
            await post(letters, "x", topic="stock")
            await post(letters, "a")
            assert await receiver.until(1) == ["a"]
            assert await letters.fetchval("SELECT delivered_at FROM outbox WHERE key = 'x'") is None

    run(main())


def test_relays_beside_each_other_share_the_work(link: Proxy) -> None:
    async def main() -> None:
        receiver = Receiver()
        async with relaying(receiver, relays=3, batch=5) as (letters, _):
            await post(letters, *(f"k{n}" for n in range(200)))
            await receiver.until(200)
            await until_delivered(letters)
            assert max(Counter(message.key for message in receiver.taken).values()) == 1

    run(main())


def test_what_a_killed_relay_had_claimed_is_delivered_by_the_next(link: Proxy) -> None:
    async def main() -> None:
        claimed = asyncio.Event()

        async def die(_messages: Sequence[Message]) -> set[int]:
            claimed.set()
            await asyncio.Event().wait()
            raise AssertionError("never reached")

        receiver = Receiver()
        async with relaying(receiver) as (letters, _):
            await letters.execute("INSERT INTO outbox (topic, key, payload) VALUES ('slow', 'a', '{}')")
            victim = OutboxRelay(letters, die, topics=["slow"], lease_s=0.5)
            dying = asyncio.create_task(victim.run())
            await claimed.wait()
            dying.cancel()
            heir = OutboxRelay(letters, receiver.deliver, topics=["slow"], poll_s=0.05)
            taking_over = asyncio.create_task(heir.run())
            assert await receiver.until(1) == ["a"]
            taking_over.cancel()

    run(main())


def test_an_outage_of_the_database_loses_nothing(link: Proxy) -> None:
    async def main() -> None:
        receiver = Receiver()
        async with relaying(receiver, batch=5) as (letters, _):
            await post(letters, *(f"k{n}" for n in range(100)))
            await receiver.until(10)
            await asyncio.to_thread(link.down)
            await asyncio.to_thread(link.up)
            await receiver.until(100)
            async with asyncio.timeout(15):
                while {message.key for message in receiver.taken} != {f"k{n}" for n in range(100)}:
                    receiver.changed.clear()
                    await receiver.changed.wait()
            assert await letters.fetchval("SELECT 1", idempotent=True) == 1
            await until_delivered(letters)

    run(main())
