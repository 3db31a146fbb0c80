"""The kit's database: what it says of a statement is certain, and it is well again as soon as its link is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from stack.kit import context, database
from stack.kit.database import Database, DatabaseError, DatabaseOutcomeUnknown, DatabaseUnavailable, StatementFailed
from tests.contract.shop_core.running import run
from tests.contract.shop_core.servers import PostgresServer, Proxy, ToxiproxyServer

RECOVERED_WITHIN_S = 2.0
SLEEPERS = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
SLEEPS_ONCE = """
CREATE OR REPLACE FUNCTION once() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM notes) = 0 THEN PERFORM pg_sleep(30); END IF;
    RETURN 7;
END $$
"""
TABLE = "CREATE TABLE IF NOT EXISTS notes (id int PRIMARY KEY, text text NOT NULL); TRUNCATE notes"


@pytest.fixture
def link(postgres: PostgresServer, toxiproxy: ToxiproxyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A link to a database of the tests' own, with an empty table `notes`."""
    if postgres.sql("SELECT 1 FROM pg_database WHERE datname = 'kit'", "postgres") == "":
        postgres.sql("CREATE DATABASE kit", "postgres")
    postgres.sql(TABLE, "kit")
    link = toxiproxy.proxy("any.notes-db", postgres.port)
    monkeypatch.setenv("LINK_NOTES_DB", f"postgresql://shop@127.0.0.1:{link.port}/kit")
    yield link
    link.remove()


@asynccontextmanager
async def opened(max_size: int = 4) -> AsyncIterator[Database]:
    notes = await database.connect("notes-db", min_size=2, max_size=max_size)
    try:
        yield notes
    finally:
        await notes.close()


async def write(notes: Database, number: int) -> str:
    return await notes.execute("INSERT INTO notes VALUES ($1, 'x')", number, timeout_s=1.0)


async def works_again(notes: Database) -> None:
    async with asyncio.timeout(RECOVERED_WITHIN_S):
        while True:
            try:
                assert await notes.fetchval("SELECT 7", timeout_s=0.5) == 7
            except DatabaseError:
                await asyncio.sleep(0.02)
            else:
                return


async def fails(notes: Database) -> DatabaseError:
    async with asyncio.timeout(5):
        while True:
            try:
                await notes.fetchval("SELECT 7", timeout_s=0.3)
            except DatabaseError as error:
                return error


def test_statements_give_rows_values_and_tags(link: Proxy) -> None:
    async def main() -> None:
        async with opened() as notes:
            assert await notes.execute("INSERT INTO notes VALUES (1, 'a'), (2, 'b')") == "INSERT 0 2"
            assert [row["text"] for row in await notes.fetch("SELECT text FROM notes ORDER BY id")] == ["a", "b"]
            row = await notes.fetchrow("SELECT * FROM notes WHERE id = $1", 2)
            assert row is not None
            assert row["text"] == "b"
            assert await notes.fetchrow("SELECT * FROM notes WHERE id = 3") is None
            assert await notes.fetchval("SELECT count(*) FROM notes") == 2
            assert await notes.fetchval("SELECT id FROM notes WHERE id = 3") is None

    run(main())


def test_a_statement_the_database_refuses_says_why_and_costs_no_connection(link: Proxy) -> None:
    async def main() -> None:
        async with opened(max_size=2) as notes:
            await write(notes, 1)
            for _ in range(5):
                with pytest.raises(StatementFailed) as caught:
                    await write(notes, 1)
                assert (caught.value.sqlstate, caught.value.constraint) == ("23505", "notes_pkey")
            with pytest.raises(StatementFailed, match="'one'"):
                await notes.execute("INSERT INTO notes VALUES ($1, 'x')", "one")
            assert await notes.fetchval("SELECT count(*) FROM notes") == 1
            assert notes.metrics.calls["error"] == 0

    run(main())


def test_a_transaction_is_done_as_a_whole_or_not_at_all(link: Proxy, postgres: PostgresServer) -> None:
    async def main() -> None:
        async with opened() as notes:
            async with notes.transaction() as both:
                await both.execute("INSERT INTO notes VALUES (1, 'a')")
                assert await both.fetchval("SELECT text FROM notes") == "a"
            with pytest.raises(StatementFailed):
                await _write_twice(notes)
            assert await notes.fetchval("SELECT count(*) FROM notes") == 1

    run(main())


async def _write_twice(notes: Database) -> None:
    async with notes.transaction() as both:
        await both.execute("INSERT INTO notes VALUES (2, 'b')")
        await both.execute("INSERT INTO notes VALUES (1, 'b')")


def test_two_transactions_that_wait_for_each_other_end_with_one_that_may_try_again(link: Proxy) -> None:
    async def main() -> None:
        async with opened() as notes:
            await notes.execute("INSERT INTO notes VALUES (1, 'a'), (2, 'a')")
            both_hold_one = asyncio.Barrier(2)

            async def change(first: int, second: int) -> str:
                try:
                    async with notes.transaction() as one:
                        await one.execute("UPDATE notes SET text = 'b' WHERE id = $1", first)
                        await both_hold_one.wait()
                        await one.execute("UPDATE notes SET text = 'b' WHERE id = $1", second)
                except DatabaseUnavailable as error:
                    return error.reason[:5]
                return "done"

            assert sorted(await asyncio.gather(change(1, 2), change(2, 1))) == ["40P01", "done"]

    run(main())


def test_a_link_that_is_cut_is_said_at_once_and_used_again_at_once(link: Proxy, postgres: PostgresServer) -> None:
    async def main() -> None:
        async with opened() as notes:
            await asyncio.to_thread(link.down)
            await fails(notes)
            with pytest.raises(DatabaseUnavailable):
                await write(notes, 1)
            await asyncio.to_thread(link.up)
            await works_again(notes)
            assert await notes.fetchval("SELECT count(*) FROM notes") == 0

    run(main())


def test_a_database_that_is_killed_and_started_again_is_used_again(link: Proxy, postgres: PostgresServer) -> None:
    async def main() -> None:
        async with opened() as notes:
            await write(notes, 1)
            await asyncio.to_thread(postgres.kill)
            await fails(notes)
            await asyncio.to_thread(postgres.start)
            await works_again(notes)
            assert await notes.fetchval("SELECT count(*) FROM notes") == 1

    run(main())


def test_a_silent_link_is_given_up_at_the_time_limit_and_used_again_at_once(link: Proxy) -> None:
    async def main() -> None:
        async with opened() as notes:
            await asyncio.to_thread(link.silence)
            with pytest.raises(DatabaseOutcomeUnknown, match="timeout"):
                await notes.execute("INSERT INTO notes VALUES (1, 'x')", timeout_s=0.3)
            await fails(notes)
            await asyncio.to_thread(link.heal)
            await works_again(notes)
            # What was in doubt was done: only its answer was lost.
            assert await notes.fetchval("SELECT count(*) FROM notes") == 1
            assert notes.metrics.calls["timeout"] >= 1

    run(main())


def test_connections_that_are_reset_do_not_linger(link: Proxy) -> None:
    async def main() -> None:
        async with opened() as notes:
            await asyncio.to_thread(link.reset)
            await asyncio.to_thread(link.down)
            await asyncio.to_thread(link.up)
            await fails(notes)
            await asyncio.to_thread(link.heal)
            await works_again(notes)
            values = await asyncio.gather(*(notes.fetchval("SELECT 7") for _ in range(8)))
            assert values == [7] * 8

    run(main())


def test_the_deadline_bounds_a_statement_and_none_is_sent_after_it(link: Proxy, postgres: PostgresServer) -> None:
    async def main() -> None:
        async with opened() as notes:
            with context.deadline(0.2), pytest.raises(DatabaseOutcomeUnknown, match="timeout"):
                await notes.execute("SELECT pg_sleep(30)")
            with context.deadline(0), pytest.raises(DatabaseUnavailable, match="deadline"):
                await write(notes, 1)
            assert await notes.fetchval("SELECT count(*) FROM notes") == 0
            # The server does not go on with what nobody waits for any more.
            async with asyncio.timeout(10):
                while await notes.fetchval(SLEEPERS):  # noqa: ASYNC110 - the server does not tell
                    await asyncio.sleep(0.05)

    run(main())


def test_who_waits_for_a_lock_gives_up_at_the_deadline(link: Proxy) -> None:
    async def main() -> None:
        async with opened() as notes:
            await write(notes, 1)
            async with notes.transaction() as holder:
                await holder.execute("UPDATE notes SET text = 'held'")
                with pytest.raises(DatabaseOutcomeUnknown, match="timeout"):
                    await notes.execute("UPDATE notes SET text = 'late'", timeout_s=0.2)
            assert await notes.fetchval("SELECT count(*) FROM notes") == 1

    run(main())


def test_a_statement_that_waits_for_a_lock_has_begun_and_one_without_a_connection_has_not(link: Proxy) -> None:
    async def main() -> None:
        async with opened(max_size=3) as notes:
            await write(notes, 1)
            async with notes.transaction() as holder:
                await holder.execute("UPDATE notes SET text = 'held'")
                began, over = notes.metrics.started, sum(notes.metrics.calls.values())
                late = [
                    asyncio.create_task(notes.execute("UPDATE notes SET text = 'late'", timeout_s=5)) for _ in range(9)
                ]
                async with asyncio.timeout(5):
                    while notes.metrics.started < began + 2:  # noqa: ASYNC110 - what changes tells nobody
                        await asyncio.sleep(0.001)
                assert sum(notes.metrics.calls.values()) == over
            await asyncio.gather(*late)
            assert notes.metrics.started - began == sum(notes.metrics.calls.values()) - over == 9 + 1  # the COMMIT

    run(main())


def test_a_pool_stuck_on_a_slow_link_keeps_every_deadline_and_bounds_its_line(link: Proxy) -> None:
    async def main() -> None:
        async with opened(max_size=3) as notes:
            await asyncio.to_thread(link.latency, 300)

            async def one() -> str:
                with context.bound(deadline_s=1.5):
                    try:
                        await notes.fetchval("SELECT 7")
                    except DatabaseError as error:
                        return error.reason
                    return "ok"

            outcomes = await asyncio.gather(*(one() for _ in range(60)))

            assert set(outcomes) <= {"ok", "timeout", "no free connection in time", "too many wait for a connection"}
            assert outcomes.count("too many wait for a connection") >= 60 - 3 - 3 * 4
            assert outcomes.count("ok") >= 4

    run(main())


def test_after_a_slow_link_the_pool_is_as_fast_as_before(link: Proxy) -> None:
    async def main() -> None:
        async with opened(max_size=3) as notes:
            await asyncio.to_thread(link.latency, 300)
            await asyncio.gather(*(fails_or_not(notes) for _ in range(20)))
            await asyncio.to_thread(link.heal)
            await works_again(notes)
            assert await asyncio.gather(*(notes.fetchval("SELECT 7") for _ in range(12))) == [7] * 12

    run(main())


async def fails_or_not(notes: Database) -> None:
    try:
        await notes.fetchval("SELECT 7", timeout_s=0.2)
    except DatabaseError:
        return


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_statement_whose_connection_is_lost_is_repeated_only_if_it_may_be(
    link: Proxy, postgres: PostgresServer, idempotent: bool
) -> None:
    async def main() -> None:
        async with opened() as notes:
            await notes.execute(SLEEPS_ONCE)
            asking = asyncio.create_task(notes.fetchval("SELECT once()", idempotent=idempotent))
            await asyncio.to_thread(_end_the_sleeper, postgres)
            if idempotent:
                assert await asking == 7
                assert notes.metrics.retries == 1
            else:
                with pytest.raises(DatabaseOutcomeUnknown):
                    await asking

    run(main())


def _end_the_sleeper(postgres: PostgresServer) -> None:
    find = "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT once()' AND state = 'active'"
    while postgres.sql(find, "kit") == "":
        continue
    postgres.sql("INSERT INTO notes VALUES (1, 'x')", "kit")
    postgres.sql(f"SELECT pg_terminate_backend(pid) FROM ({find}) AS sleeper", "kit")


@pytest.mark.parametrize(("cut", "error"), [("statement", DatabaseUnavailable), ("commit", DatabaseOutcomeUnknown)])
def test_a_transaction_that_is_cut_off_is_in_doubt_only_if_it_was_committing(
    link: Proxy, cut: str, error: type[DatabaseError]
) -> None:
    async def main() -> None:
        async with opened() as notes:
            with pytest.raises(error):
                await _cut_off(notes, link, cut)
            await asyncio.to_thread(link.heal)
            await works_again(notes)
            if cut == "statement":
                assert await notes.fetchval("SELECT count(*) FROM notes") == 0

    run(main())


async def _cut_off(notes: Database, link: Proxy, cut: str) -> None:
    async with notes.transaction(timeout_s=0.5) as both:
        await both.execute("INSERT INTO notes VALUES (1, 'a')")
        await asyncio.to_thread(link.silence)
        if cut == "statement":
            await both.execute("INSERT INTO notes VALUES (2, 'a')")


def test_a_cancelled_statement_leaves_the_pool_whole(link: Proxy) -> None:
    async def main() -> None:
        async with opened(max_size=2) as notes:
            for _ in range(6):
                asking = asyncio.create_task(notes.execute("SELECT pg_sleep(30)"))
                await asyncio.sleep(0.02)
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
            await works_again(notes)

    run(main())


def test_start_up_waits_for_a_database_that_is_not_there_yet(link: Proxy) -> None:
    async def main() -> None:
        await asyncio.to_thread(link.down)
        opening = asyncio.create_task(database.connect("notes-db", min_size=1, max_size=2))
        done, _ = await asyncio.wait([opening], timeout=0.3)
        assert not done
        await asyncio.to_thread(link.up)
        notes = await opening
        assert await notes.fetchval("SELECT 7") == 7
        await notes.close()

    run(main())


def test_a_new_connection_asks_the_server_for_no_types(link: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four round trips more for a first statement are felt just when the link is slow."""

    async def looked_up(*_: object) -> None:
        raise AssertionError("the driver looks types up")

    async def main() -> None:
        monkeypatch.setattr(asyncpg.Connection, "_introspect_types", looked_up)
        async with opened() as notes:
            row = await notes.fetchrow(
                "SELECT $1::int[], $2::text[], $3::uuid[], $4::bigint[], array_agg(id), array_agg(text) FROM notes",
                *([1], ["a"], [], [2]),
            )
            assert row is not None
            assert list(row)[:4] == [[1], ["a"], [], [2]]

    run(main())
