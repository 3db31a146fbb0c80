"""The kit's client against dependencies that refuse, vanish, stall and lie."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from stack.kit import context
from stack.kit.breaker import Breaker
from stack.kit.client import Client, LinkError, NotSent, OutcomeUnknown
from tests.contract.shop_core.running import run
from tests.contract.shop_core.servers import ToxiproxyServer, free_port

Talk = Callable[["Line"], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Line:
    """The server's end of one connection; `number` counts them from 0."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """One request; b"" when the client has closed."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return b""
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length: "):
                head += await self._reader.readexactly(int(line.split(b": ")[1]))
        return head

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        self._writer.transport.abort()


class Dependency:
    """A server that talks as the test tells it."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    @asynccontextmanager
    async def talking(self, talk: Talk) -> AsyncIterator[Dependency]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            line = Line(self.connections, reader, writer)
            self.connections += 1
            try:
                await talk(line)
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


async def polite(line: Line) -> None:
    while await line.request():
        await line.say(OK)


def client_of(monkeypatch: pytest.MonkeyPatch, *ports: int, **settings: object) -> Client:
    monkeypatch.setenv("LINK_THING", ",".join(f"http://127.0.0.1:{port}" for port in ports))
    return Client("thing", **{"timeout_s": 5.0, **settings})  # type: ignore[arg-type]


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not so():  # noqa: ASYNC110 - what changes tells nobody
            await asyncio.sleep(0.001)


async def connected(there: Dependency, times: int) -> None:
    await until(lambda: there.connections >= times)


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
            await until(lambda: not client._pools[0].idle)
        async with there.talking(polite):
            assert (await client.call("POST", "/")).status == 200
            await client.close()

    run(main())


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
            with pytest.raises(NotSent, match="timeout"):
                await client.call("POST", "/", timeout_s=0.05)
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

            assert set(outcomes) <= {"ok", "timeout", "no free connection"}
            assert outcomes.count("no free connection") == 100 - 4 - 16
            assert outcomes.count("ok") >= 4
            await client.close()
            await asyncio.to_thread(link.remove)

    run(main())
