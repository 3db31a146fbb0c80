"""The kit's client at its limits: pools that are full, breakers, and links that fail and heal."""

from __future__ import annotations

import asyncio

import pytest

from stack.kit import context
from stack.kit.breaker import Breaker
from stack.kit.client import Client, LinkError, NotSent
from tests.contract.shop_core.dependencies import OK, Dependency, Line, client_of, connected, polite
from tests.contract.shop_core.running import run
from tests.contract.shop_core.servers import ToxiproxyServer, free_port


def test_a_full_pool_makes_callers_wait_in_a_bounded_line(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        open_now = asyncio.Event()

        async def talk(line: Line) -> None:
            while await line.request():
                await open_now.wait()
                await line.say(OK)

        async with Dependency().talking(talk) as there:
            client = client_of(monkeypatch, there.port, pool=2)
            calls = [asyncio.create_task(client.call("POST", "/")) for _ in range(20)]
            refused, _ = await asyncio.wait(calls, timeout=0.2)
            assert {type(call.exception()) for call in refused} == {NotSent}
            assert len(refused) == 20 - 2 - 2 * 4
            open_now.set()
            done = await asyncio.gather(*(call for call in calls if call not in refused))
            assert [reply.status for reply in done] == [200] * 10
            assert there.connections == 2
            await client.close()

    run(main())


def test_who_waits_for_a_connection_gives_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async def talk(line: Line) -> None:
            await line.request()
            await asyncio.Event().wait()

        async with Dependency().talking(talk) as there:
            client = client_of(monkeypatch, there.port, pool=1)
            first = asyncio.create_task(client.call("POST", "/"))
            await asyncio.sleep(0)
            saturated = client.metrics.calls["saturated"]
            with pytest.raises(NotSent, match="no free connection in time"):
                await client.call("POST", "/", timeout_s=0.05)
            assert client.metrics.calls["saturated"] == saturated + 1  # it was never on the wire
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first

    run(main())


def test_a_cancelled_call_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async def talk(line: Line) -> None:
            await line.request()
            if line.number < 3:
                await asyncio.Event().wait()
            await line.say(OK)

        async with Dependency().talking(talk) as there:
            client = client_of(monkeypatch, there.port, pool=1)
            for turn in range(3):
                call = asyncio.create_task(client.call("POST", "/"))
                await connected(there, turn + 1)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
            assert (await client.call("POST", "/")).status == 200
            await client.close()

    run(main())


def test_a_breaker_spares_a_dependency_that_fails_and_tries_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        state = {"healthy": False}

        async def talk(line: Line) -> None:
            while await line.request():
                await line.say(OK if state["healthy"] else OK.replace(b"200 OK", b"500 No"))

        clock_s = [0.0]
        breaker = Breaker(open_s=1.0, clock=lambda: clock_s[0])
        async with Dependency().talking(talk) as there:
            client = client_of(monkeypatch, there.port, breaker=breaker)
            assert [(await client.call("GET", "/")).status for _ in range(5)] == [500] * 5
            with pytest.raises(NotSent, match="breaker open"):
                await client.call("GET", "/")
            assert [client.metrics.breaker_open] == [True]
            state["healthy"] = True
            clock_s[0] += 1.0
            assert [(await client.call("GET", "/")).status for _ in range(3)] == [200] * 3
            assert [client.metrics.breaker_open] == [False]
            await client.close()

    run(main())


def test_a_refusal_of_one_cohort_does_not_break_the_link_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(line: Line) -> None:
        while await line.request():
            await line.say(OK.replace(b"200 OK", b"503 Busy"))

    async def main() -> None:
        async with Dependency().talking(talk) as there:
            client = client_of(monkeypatch, there.port, breaker=Breaker())
            assert {(await client.call("GET", "/")).status for _ in range(20)} == {503}
            await client.close()

    run(main())


def test_no_header_can_smuggle_another(monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(monkeypatch, free_port())
    with pytest.raises(ValueError, match="line break"):
        run(client.call("GET", "/", headers={"Idempotency-Key": "k\r\nx-evil: 1"}))
    with pytest.raises(ValueError, match="path"):
        run(client.call("GET", "/a b"))


# ---- through a real proxy


async def until_it_fails(client: Client) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                await client.call("GET", "/", timeout_s=0.3)
            except LinkError:
                return


async def until_it_works(client: Client, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while True:
            try:
                await client.call("GET", "/", timeout_s=0.5)
            except LinkError:
                await asyncio.sleep(0.02)
            else:
                return


@pytest.mark.parametrize("fault", ["down", "silence", "reset"])
def test_a_link_that_is_cut_and_mended_works_again_at_once(
    monkeypatch: pytest.MonkeyPatch, toxiproxy: ToxiproxyServer, fault: str
) -> None:
    async def main() -> None:
        async with Dependency().talking(polite) as there:
            link = toxiproxy.proxy(f"any.{fault}-{there.port}", there.port)
            client = client_of(monkeypatch, link.port, pool=4)
            await asyncio.gather(*(client.call("GET", "/") for _ in range(4)))
            await asyncio.to_thread(getattr(link, fault))
            if fault == "reset":  # is felt by new connections alone
                await client.close()
            await until_it_fails(client)
            await asyncio.to_thread(link.heal)
            await until_it_works(client, within_s=2.0)
            assert (await asyncio.gather(*(client.call("GET", "/") for _ in range(8))))[7].status == 200
            await client.close()
            await asyncio.to_thread(link.remove)

    run(main())


def test_a_pool_stuck_on_a_slow_link_keeps_every_deadline(
    monkeypatch: pytest.MonkeyPatch, toxiproxy: ToxiproxyServer
) -> None:
    async def main() -> None:
        async with Dependency().talking(polite) as there:
            link = toxiproxy.proxy(f"any.slow-{there.port}", there.port)
            link.latency(300)
            client = client_of(monkeypatch, link.port, pool=4)

            async def one() -> str:
                with context.bound(deadline_s=1.0):
                    try:
                        await client.call("POST", "/")
                    except LinkError as error:
                        return error.reason
                    return "ok"

            outcomes = await asyncio.gather(*(one() for _ in range(100)))

            assert set(outcomes) <= {"ok", "timeout", "no free connection", "no free connection in time"}
            assert outcomes.count("no free connection") == 100 - 4 - 16
            assert outcomes.count("ok") >= 4
            await client.close()
            await asyncio.to_thread(link.remove)

    run(main())
