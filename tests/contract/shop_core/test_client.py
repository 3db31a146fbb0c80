"""The kit's client: what it sends, what it reads, and what it says of a call that got no answer."""

from __future__ import annotations

import asyncio

import pytest

from stack.kit import context
from stack.kit.client import NotSent, OutcomeUnknown
from tests.contract.shop_core.dependencies import OK, Dependency, Line, client_of, polite, until
from tests.contract.shop_core.running import run
from tests.contract.shop_core.servers import free_port


def test_a_call_carries_reference_deadline_cohort_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    async def talk(line: Line) -> None:
        while request := await line.request():
            seen.append(request)
            await line.say(b'HTTP/1.1 201 Created\r\ncontent-length: 7\r\nX-Thing: yes\r\n\r\n{"a":1}')

    async def main() -> None:
        async with Dependency().talking(talk) as there:
            client = client_of(monkeypatch, there.port)
            with context.bound(reference="R-1", deadline_s=2.0, cohort="network:visa"):
                reply = await client.call("POST", "/things", {"b": 2}, headers={"Idempotency-Key": "k"})
            assert (reply.status, reply.json(), reply.headers[b"x-thing"]) == (201, {"a": 1}, b"yes")
            assert (await client.call("GET", "/things")).status == 201
            await client.close()

    run(main())

    post, get = (request.decode().lower() for request in seen)
    assert post.startswith("post /things http/1.1\r\nhost: thing\r\n")
    assert post.endswith('content-length: 7\r\n\r\n{"b":2}')
    for header in (
        "x-reference: r-1",
        "x-cohort: network:visa",
        "idempotency-key: k",
        "content-type: application/json",
    ):
        assert f"\r\n{header}\r\n" in post
    assert 1000 < int(post.split("x-deadline-ms: ")[1].split("\r\n")[0]) <= 2000
    assert "content-length" not in get


def test_connections_are_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> int:
        async with Dependency().talking(polite) as there:
            client = client_of(monkeypatch, there.port)
            for _ in range(20):
                assert (await client.call("GET", "/")).body == b"ok"
            await client.close()
            return there.connections

    assert run(main()) == 1


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", b"abc"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", b"ok"),
    ],
)
def test_answers_of_every_form_are_read(monkeypatch: pytest.MonkeyPatch, reply: bytes, body: bytes) -> None:
    async def talk(line: Line) -> None:
        while await line.request():
            for byte in reply:
                await line.say(bytes([byte]))

    async def main() -> None:
        async with Dependency().talking(talk) as there:
            client = client_of(monkeypatch, there.port)
            assert [(await client.call("GET", "/")).body for _ in range(3)] == [body] * 3
            await client.close()

    run(main())


def test_a_refused_connection_is_certainly_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(monkeypatch, free_port(), retries=1)

    with pytest.raises(NotSent, match="connect") as caught:
        run(client.call("POST", "/"))

    assert caught.value.link.endswith(".thing")


def test_a_replica_that_refuses_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with Dependency().talking(polite) as there:
            client = client_of(monkeypatch, free_port(), there.port)
            assert [(await client.call("GET", "/")).status for _ in range(4)] == [200] * 4
            await client.close()

    run(main())


def test_replicas_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with Dependency().talking(polite) as one, Dependency().talking(polite) as two:
            client = client_of(monkeypatch, one.port, two.port)
            await asyncio.gather(*(client.call("GET", "/") for _ in range(4)))
            assert (one.connections, two.connections) == (2, 2)
            await client.close()

    run(main())


@pytest.mark.parametrize("how", ["close", "reset", "garbage"])
def test_a_connection_lost_after_sending_leaves_the_outcome_unknown(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    async def talk(line: Line) -> None:
        await line.request()
        if how == "garbage":
            await line.say(b"SSH-2.0-OpenSSH\r\n\r\n")
        elif how == "reset":
            line.reset()

    async def main() -> None:
        async with Dependency().talking(talk) as there:
            client = client_of(monkeypatch, there.port)
            with pytest.raises(OutcomeUnknown):
                await client.call("POST", "/")

    run(main())


def test_half_an_answer_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(line: Line) -> None:
        await line.request()
        await line.say(OK[:-1])

    async def main() -> None:
        async with Dependency().talking(talk) as there:
            client = client_of(monkeypatch, there.port)
            with pytest.raises(OutcomeUnknown):
                await client.call("POST", "/")

    run(main())


async def vanishing_once(line: Line) -> None:
    while await line.request():
        if line.number == 0:
            return
        await line.say(OK)


def test_an_idempotent_call_is_repeated_after_a_loss_and_another_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with Dependency().talking(vanishing_once) as there:
            client = client_of(monkeypatch, there.port, retries=1)
            assert (await client.call("POST", "/")).status == 200
            await client.close()
        async with Dependency().talking(vanishing_once) as there:
            client = client_of(monkeypatch, there.port, retries=1)
            with pytest.raises(OutcomeUnknown):
                await client.call("POST", "/", idempotent=False)
            assert there.connections == 1

    run(main())


def test_repeats_stay_within_their_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    async def vanish(line: Line) -> None:
        await line.request()

    async def main() -> int:
        async with Dependency().talking(vanish) as there:
            client = client_of(monkeypatch, there.port, retries=3, retry_budget=0.1)
            for _ in range(40):
                with pytest.raises(OutcomeUnknown):
                    await client.call("POST", "/")
            return there.connections

    assert 40 < run(main()) <= 40 + 5 + 4


def test_a_doubt_stays_a_doubt_though_the_last_try_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def talk(line: Line) -> None:
            await line.request()
            gone.set()

        there = Dependency()
        async with there.talking(talk):
            client = client_of(monkeypatch, there.port, retries=1)
            call = asyncio.create_task(client.call("POST", "/"))
            await gone.wait()
        with pytest.raises(OutcomeUnknown):
            await call

    run(main())


def test_a_late_answer_is_never_taken_for_the_next_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        late = asyncio.Event()

        async def talk(line: Line) -> None:
            await line.request()
            if line.number == 0:
                await late.wait()
                await line.say(OK.replace(b"ok", b"no"))
            else:
                await line.say(OK)

        async with Dependency().talking(talk) as there:
            client = client_of(monkeypatch, there.port)
            with pytest.raises(OutcomeUnknown, match="timeout"):
                await client.call("POST", "/", timeout_s=0.05)
            late.set()
            assert (await client.call("POST", "/")).body == b"ok"

    run(main())


def test_the_deadline_bounds_a_call_and_none_is_begun_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(line: Line) -> None:
        await line.request()
        await asyncio.Event().wait()

    async def main() -> None:
        async with Dependency().talking(talk) as there:
            client = client_of(monkeypatch, there.port, timeout_s=60, retries=3)
            with context.deadline(0.05), pytest.raises(OutcomeUnknown, match="timeout"):
                await client.call("POST", "/")
            with context.deadline(0), pytest.raises(NotSent, match="deadline"):
                await client.call("POST", "/")
            assert there.connections == 1

    run(main())


def test_a_server_that_restarts_is_used_again_without_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        there = Dependency()
        closing = asyncio.Event()

        async def until_closing(line: Line) -> None:
            await line.request()
            await line.say(OK)
            await closing.wait()

        async with there.talking(until_closing):
            client = client_of(monkeypatch, there.port)
            assert (await client.call("GET", "/")).status == 200
            closing.set()
            await until(lambda: not next(iter(client._replicas)).idle)
        async with there.talking(polite):
            assert (await client.call("POST", "/")).status == 200
            await client.close()

    run(main())
