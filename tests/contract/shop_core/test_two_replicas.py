"""Two replicas of a dependency: whichever goes, callers hardly notice."""

from __future__ import annotations

import asyncio

import pytest

from stack.kit.breaker import Breaker
from stack.kit.client import OutcomeUnknown
from tests.contract.shop_core.dependencies import Dependency, Line, client_of, polite
from tests.contract.shop_core.running import run

STARTING = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ncontent-length: 29\r\n\r\n"
    b'{"type":"/problems/starting"}'
)


def test_a_replica_that_takes_connections_and_drops_them_costs_no_call_and_trips_no_breaker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Toxiproxy does it for a server that is gone."""

    async def drops(line: Line) -> None:
        line.reset()

    async def main() -> None:
        async with Dependency().talking(drops) as gone, Dependency().talking(polite) as there:
            breaker = Breaker()
            client = client_of(monkeypatch, gone.port, there.port, retries=1, breaker=breaker)
            for _ in range(3):
                replies = await asyncio.gather(*(client.call("POST", "/") for _ in range(4)))
                assert [reply.status for reply in replies] == [200] * 4
            assert not breaker.is_open
            assert gone.connections <= 5
            await client.close()

    run(main())


def test_a_replica_that_still_starts_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def starts(line: Line) -> None:
        while await line.request():
            await line.say(STARTING)

    async def main() -> None:
        async with Dependency().talking(starts) as young, Dependency().talking(polite) as there:
            client = client_of(monkeypatch, young.port, there.port, retries=1)
            assert [(await client.call("POST", "/")).status for _ in range(6)] == [200] * 6
            await client.close()

    run(main())


def test_when_both_are_gone_the_breaker_opens_as_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drops(line: Line) -> None:
        await line.request()
        line.reset()

    async def main() -> None:
        async with Dependency().talking(drops) as one, Dependency().talking(drops) as two:
            breaker = Breaker()
            client = client_of(monkeypatch, one.port, two.port, breaker=breaker)
            for _ in range(6):
                with pytest.raises(OutcomeUnknown):
                    await client.call("POST", "/")
            assert breaker.is_open
            await client.close()

    run(main())
