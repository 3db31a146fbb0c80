"""The kit's server against clients that are hasty, slow, malformed or gone."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator

import pytest

from stack.kit import context, server
from stack.kit.app import Request, Response, Route, Service, json_response
from stack.kit.problems import Problem
from tests.contract.shop_core.running import RawConnection, RunningService, running
from tests.contract.shop_core.servers import wait_until

BIG = 30_000_000


class Kitchen:
    """Handlers whose speed the test decides."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun = 0
        self.loops = 0

    def now(self, request: Request) -> Response:
        return json_response({"dish": request.params["dish"]})

    async def slow(self, _request: Request) -> Response:
        self.begun += 1
        await self.gate.wait()
        return json_response({"dish": "slow", "reference": context.reference()})

    async def echo(self, request: Request) -> Response:
        return json_response({"bytes": len(request.body)}, 201)

    async def broken(self, _request: Request) -> Response:
        raise RuntimeError("the pan is too hot")

    def refused(self, _request: Request) -> Response:
        raise Problem(409, "sold-out", "t", "d", safe_to_retry=False)

    def big(self, _request: Request) -> Response:
        return Response(b"x" * BIG)

    async def loop(self) -> None:
        self.loops += 1
        if self.loops < 3:
            raise RuntimeError("again")
        await asyncio.Event().wait()

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/dishes/{dish}", self.now),
            Route("GET", "/slow", self.slow, group="slow"),
            Route("POST", "/echo", self.echo),
            Route("POST", "/broken", self.broken),
            Route("GET", "/refused", self.refused),
            Route("GET", "/big", self.big),
        ]


@pytest.fixture
def kitchen() -> Kitchen:
    return Kitchen()


@pytest.fixture
def serving(kitchen: Kitchen) -> Iterator[RunningService]:
    app = Service(
        "kitchen", kitchen.routes(), background=[kitchen.loop], max_in_flight={"slow": 1}, max_body_bytes=1000
    )
    with running(app) as serving:
        yield serving
        serving.call_soon(kitchen.gate)


def counted(client: RawConnection, operation: str, status_class: str) -> int:
    sample = f'operation="{operation}",status_class="{status_class}"}} '
    return int(client.get("/metrics")[2].decode().split(sample)[1].split("\n")[0])


def problem(body: bytes) -> str:
    return str(json.loads(body)["type"]).removeprefix("/problems/")


def test_answers_to_a_pipeline_come_in_order_though_the_first_takes_longest(
    serving: RunningService, kitchen: Kitchen
) -> None:
    client = serving.connect()
    slow = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n"
    client.send(slow + b"".join(b"GET /dishes/%d HTTP/1.1\r\nhost: x\r\n\r\n" % n for n in range(40)))
    wait_until("the first is at work", lambda: kitchen.begun == 1)
    serving.call_soon(kitchen.gate)

    dishes = [json.loads(client.answer()[2])["dish"] for _ in range(41)]

    assert dishes == ["slow", *(str(n) for n in range(40))]


def test_a_request_may_come_byte_by_byte(serving: RunningService) -> None:
    client = serving.connect()
    for byte in b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc":
        client.send(bytes([byte]))

    assert json.loads(client.answer()[2]) == {"bytes": 3}


def test_what_is_not_http_is_refused_and_the_connection_closed(serving: RunningService) -> None:
    for garbage in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"POST /echo HTTP/1.1\r\ncontent-length: x\r\n\r\n",
    ):
        client = serving.connect()
        client.send(garbage)
        status, headers, body = client.answer()

        assert (status, problem(body), headers["connection"]) == (400, "bad-request", "close")
        assert client.is_closed()


def test_garbage_after_a_good_request_does_not_cost_it_its_answer(serving: RunningService, kitchen: Kitchen) -> None:
    client = serving.connect()
    client.send(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n\x00\x00\x00\r\n\r\n")
    wait_until("the good one is at work", lambda: kitchen.begun == 1)
    serving.call_soon(kitchen.gate)

    assert client.answer()[0] == 200
    assert client.answer()[0] == 400
    assert client.is_closed()


def test_headers_without_end_are_refused(serving: RunningService) -> None:
    client = serving.connect()
    client.send(b"GET / HTTP/1.1\r\nx: " + b"y" * (server.MAX_HEADER_BYTES + 1))

    assert client.answer()[0] == 431
    assert client.is_closed()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + b"1;" + b"x" * 20_000,
    ],
)
def test_bodies_over_the_limit_are_refused(serving: RunningService, request_bytes: bytes) -> None:
    client = serving.connect()
    client.send(request_bytes)

    assert client.answer()[0] == 413
    assert client.is_closed()


def test_bodies_in_chunks_are_put_together(serving: RunningService) -> None:
    client = serving.connect()
    client.send(b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")

    assert json.loads(client.answer()[2]) == {"bytes": 5}


def test_a_client_that_asks_first_is_told_to_go_on(serving: RunningService) -> None:
    client = serving.connect()
    client.send(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
    assert client._file.readline() == b"HTTP/1.1 100 Continue\r\n"
    client._file.readline()
    client.send(b"ab")

    assert client.answer()[0] == 201


def test_connections_are_kept_or_closed_as_the_client_asks(serving: RunningService) -> None:
    kept = serving.connect()
    assert [kept.get("/dishes/a")[0] for _ in range(3)] == [200, 200, 200]

    for request in (
        b"GET /dishes/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET /dishes/a HTTP/1.0\r\n\r\n",
    ):
        client = serving.connect()
        client.send(request)
        assert client.answer()[1]["connection"] == "close"
        assert client.is_closed()


def test_a_request_to_upgrade_is_answered_as_it_stands(serving: RunningService) -> None:
    client = serving.connect()
    client.send(b"GET /dishes/a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")

    assert client.answer()[0] == 200


def test_a_client_that_has_finished_sending_still_gets_its_answer(serving: RunningService, kitchen: Kitchen) -> None:
    client = serving.connect()
    client.send(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
    client.socket.shutdown(socket.SHUT_WR)
    wait_until("it is at work", lambda: kitchen.begun == 1)
    serving.call_soon(kitchen.gate)

    assert client.answer()[0] == 200


def test_a_client_that_leaves_disturbs_nobody(serving: RunningService, kitchen: Kitchen) -> None:
    client = serving.connect()
    client.send(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
    wait_until("it is at work", lambda: kitchen.begun == 1)
    client.close()
    serving.call_soon(kitchen.gate)

    other = serving.connect()
    wait_until("its place is free again", lambda: other.get("/slow")[0] == 200)


def test_head_is_get_without_the_body(serving: RunningService) -> None:
    client = serving.connect()
    client.send(b"HEAD /dishes/a HTTP/1.1\r\nhost: x\r\n\r\n")

    status, headers, _ = client.answer(body=False)

    assert (status, headers["content-length"]) == (200, "12")
    assert client.get("/dishes/a")[0] == 200


def test_paths_are_decoded_and_unknown_ones_are_said(serving: RunningService) -> None:
    client = serving.connect()

    assert json.loads(client.get("/dishes/a%20b%2Fc")[2]) == {"dish": "a b/c"}
    assert json.loads(client.get("http://shop.example/dishes/a")[2]) == {"dish": "a"}
    assert [client.get(path)[0] for path in ("/nowhere", "/dishes/", "/dishes/a/b")] == [404, 404, 404]
    client.send(b"DELETE /slow HTTP/1.1\r\nhost: x\r\n\r\n")
    status, _, body = client.answer()
    assert (status, json.loads(body)["detail"]) == (405, "allowed: GET")


def test_a_defect_is_a_500_with_a_reference_that_leads_to_the_log(
    serving: RunningService, capfd: pytest.CaptureFixture[str]
) -> None:
    client = serving.connect()
    client.send(b"POST /broken HTTP/1.1\r\nhost: x\r\nx-reference: R-1\r\ncontent-length: 0\r\n\r\n")

    status, headers, body = client.answer()

    assert (status, headers["x-reference"], json.loads(body)["reference"]) == (500, "R-1", "R-1")
    assert b"pan" not in body
    logged = next(line for line in capfd.readouterr().out.splitlines() if "unexpected-error" in line)
    assert json.loads(logged)["reference"] == "R-1"
    assert "the pan is too hot" in json.loads(logged)["traceback"]


def test_writes_carry_their_reference_back(serving: RunningService) -> None:
    client = serving.connect()
    client.send(b"POST /echo HTTP/1.1\r\nhost: x\r\nx-reference: R-7\r\ncontent-length: 0\r\n\r\n")

    assert client.answer()[1]["x-reference"] == "R-7"


def test_one_class_of_requests_that_is_full_is_refused_while_the_others_go_on(
    serving: RunningService, kitchen: Kitchen
) -> None:
    first, second = serving.connect(), serving.connect()
    first.send(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
    wait_until("the first is at work", lambda: kitchen.begun == 1)
    before = counted(second, "slow", "5xx")

    status, headers, body = second.get("/slow")

    assert (status, problem(body), json.loads(body)["safe_to_retry"]) == (503, "overloaded", True)
    assert headers["retry-after"] == "1"
    assert second.get("/dishes/a")[0] == 200
    assert counted(second, "slow", "5xx") == before + 1


def test_refusals_count_as_their_operation(serving: RunningService) -> None:
    client = serving.connect()
    before = counted(client, "refused", "4xx")
    client.get("/refused")

    assert counted(client, "refused", "4xx") == before + 1


def test_a_request_whose_deadline_has_passed_is_not_begun(serving: RunningService, kitchen: Kitchen) -> None:
    status, _, body = serving.connect().get("/slow", "x-deadline-ms: 0")

    assert (status, problem(body), kitchen.begun) == (503, "overloaded", 0)


def test_those_who_send_too_slowly_or_do_not_read_are_cut_off(
    serving: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "STALLED_S", 0.1)
    monkeypatch.setattr(server, "IDLE_S", 0.1)
    sender, reader, idle = serving.connect(), serving.connect(), serving.connect()
    sender.send(b"GET /dishes/a HTTP/1.1\r\nhos")
    reader.send(b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n")

    assert sender.is_closed()
    assert idle.is_closed()
    assert reader.bytes_left() < BIG
    assert serving.connect().get("/dishes/a")[0] == 200


def test_a_loop_that_fails_is_started_again(serving: RunningService, kitchen: Kitchen) -> None:
    wait_until("the loop runs for the third time", lambda: kitchen.loops == 3)


def test_draining_answers_what_is_at_work_and_takes_no_more(serving: RunningService, kitchen: Kitchen) -> None:
    busy, idle = serving.connect(), serving.connect()
    assert idle.get("/dishes/a")[0] == 200
    busy.send(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
    wait_until("it is at work", lambda: kitchen.begun == 1)

    serving.begin_stop()
    assert idle.is_closed()
    with pytest.raises(ConnectionRefusedError):
        serving.connect()
    serving.call_soon(kitchen.gate)

    status, headers, _ = busy.answer()
    assert (status, headers["connection"]) == (200, "close")


def test_until_it_has_started_it_is_alive_and_not_ready(kitchen: Kitchen) -> None:
    started = asyncio.Event()

    async def wait() -> None:
        await started.wait()

    with running(Service("late", kitchen.routes(), startup=[wait]), wait_ready=False) as late:
        client = late.connect()
        assert client.get("/livez")[0] == 200
        assert client.get("/readyz")[0] == 503
        assert client.get("/dishes/a")[0] == client.get("/slow")[0] == 503

        late.call_soon(started)
        wait_until("it is ready", lambda: client.get("/readyz")[0] == 200)
        assert client.get("/dishes/a")[0] == 200


def test_told_to_stop_while_it_starts_it_stops(kitchen: Kitchen) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    with running(Service("never", kitchen.routes(), startup=[never]), wait_ready=False):
        pass
