"""Calls on a link are counted when they begin, too: one that hangs has met whatever makes it hang."""

from __future__ import annotations

import asyncio

import pytest

from stack.kit.breaker import Breaker
from stack.kit.client import Client, NotSent, OutcomeUnknown
from tests.contract.shop_core.dependencies import OK, Dependency, Line, client_of, polite, until
from tests.contract.shop_core.running import run
from tests.contract.shop_core.servers import Proxy, ServiceProcess, free_port
from tests.contract.shop_core.test_cart_store_faults import add, works

STORE_STARTED = 'link_calls_started_total{link="cart.cart-store"}'
STORE_TIMED_OUT = 'link_calls_total{link="cart.cart-store",outcome="timeout"}'


def ended(client: Client) -> int:
    calls = client.metrics.calls
    return sum(calls.values()) - calls["short_circuited"] - calls["saturated"]


def test_a_call_that_hangs_has_begun_and_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        go_on = asyncio.Event()

        async def talk(line: Line) -> None:
            while await line.request():
                await go_on.wait()
                await line.say(OK)

        async with Dependency().talking(talk) as there:
            client = client_of(monkeypatch, there.port, pool=3)
            began, over = client.metrics.started, ended(client)
            calls = [asyncio.create_task(client.call("POST", "/")) for _ in range(20)]
            await until(lambda: client.metrics.started == began + 3)
            assert ended(client) == over
            go_on.set()
            await asyncio.gather(*calls, return_exceptions=True)
            # of those that found no connection nothing was written
            assert client.metrics.started - began == ended(client) - over < 20
            await client.close()

    run(main())


def test_a_call_that_is_given_up_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(line: Line) -> None:
        await line.request()
        await asyncio.Event().wait()

    async def main() -> None:
        async with Dependency().talking(silent) as there:
            client = client_of(monkeypatch, there.port)
            began = client.metrics.started
            with pytest.raises(OutcomeUnknown):
                await client.call("POST", "/", timeout_s=0.05)
            assert client.metrics.started == began + 1

    run(main())


def test_a_call_that_the_link_turns_away_has_met_it_and_one_that_the_breaker_stops_has_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        breaker = Breaker(open_s=60.0)
        client = client_of(monkeypatch, free_port(), breaker=breaker)
        began, over = client.metrics.started, ended(client)
        stopped = client.metrics.calls["short_circuited"]
        for _ in range(20):
            with pytest.raises(NotSent):
                await client.call("POST", "/")
        stopped = client.metrics.calls["short_circuited"] - stopped
        assert 0 < stopped < 20
        assert client.metrics.started - began == ended(client) - over == 20 - stopped

    run(main())


def test_each_repeat_is_a_call_that_began(monkeypatch: pytest.MonkeyPatch) -> None:
    async def vanishing_once(line: Line) -> None:
        if line.number == 0:
            await line.request()
        else:
            await polite(line)

    async def main() -> None:
        async with Dependency().talking(vanishing_once) as there:
            client = client_of(monkeypatch, there.port, retries=1)
            began = client.metrics.started
            assert (await client.call("POST", "/")).status == 200
            assert client.metrics.started == began + 2
            await client.close()

    run(main())


def test_of_a_store_too_what_began_and_what_ended_add_up(cart: ServiceProcess, cart_store: Proxy) -> None:
    assert works(cart)
    began, timed_out = cart.metric(STORE_STARTED), cart.metric(STORE_TIMED_OUT)
    cart_store.latency(900)
    try:
        add(cart, deadline_ms=100)
    finally:
        cart_store.heal()
    assert cart.metric(STORE_TIMED_OUT) == timed_out + 1
    assert cart.metric(STORE_STARTED) == began + 1
