"""Our client against the real server: everything it promises, and the defects it was repaired of."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from crashcart.model.errors import ControlPlaneError, UsageError
from crashcart.toxiproxy import Proxy, ProxySpec, ToxicSpec, Toxiproxy
from tests.contract.freezing import freeze
from tests.contract.toxiproxy.conftest import Server, ask

NAME = "checkout[0].orders-db[0]"


@pytest.fixture
def proxy(server: Server) -> Proxy:
    return server.client.create_proxy(NAME, server.address(), server.upstream)


def test_it_says_its_version(server: Server) -> None:
    assert server.client.running()
    assert int(server.client.version().split(".")[0]) >= 2


def test_a_proxy_with_brackets_in_its_name_carries_traffic(server: Server, proxy: Proxy) -> None:
    assert server.get(proxy.listen) == b"xxxxx"
    assert server.client.proxies()[NAME].upstream == server.upstream


def test_a_name_may_hold_anything_but_a_slash(server: Server) -> None:
    odd = "b c?d=e#f%20[0].ü"
    made = server.client.create_proxy(odd, server.address(), server.upstream)
    server.client.add_toxic(odd, ToxicSpec("x y ?", "latency", attributes={"latency": 1}))
    server.client.set_enabled(odd, False)
    assert not server.client.proxies()[odd].enabled
    server.client.remove_toxic(odd, "x y ?")
    assert made.toxics() == {}
    with pytest.raises(UsageError, match="without a slash"):
        server.client.create_proxy("a/b", server.address(), server.upstream)


def test_off_has_taken_effect_when_the_call_returns(server: Server, proxy: Proxy) -> None:
    with server.connect(proxy.listen) as established:
        assert ask(established) == b"xxxxx"
        server.client.set_enabled(NAME, False)
        with pytest.raises(ConnectionRefusedError):
            server.connect(proxy.listen)
        assert established.recv(1) == b"", "the established connection was cut"
    server.client.set_enabled(NAME, True)
    assert server.get(proxy.listen) == b"xxxxx"


def test_off_twice_and_on_twice_is_fine(server: Server, proxy: Proxy) -> None:
    for enabled in (False, False, True, True):
        server.client.set_enabled(NAME, enabled)
    assert server.get(proxy.listen) == b"xxxxx"


def test_leaving_a_block_of_down_restores_what_was_and_enables_nothing(server: Server, proxy: Proxy) -> None:
    with proxy.down(), pytest.raises(ConnectionRefusedError):
        server.connect(proxy.listen)
    assert server.get(proxy.listen) == b"xxxxx"
    proxy.disable()
    with proxy.down():
        pass
    with pytest.raises(ConnectionRefusedError):
        server.connect(proxy.listen)


def test_a_latency_is_felt_on_an_open_connection_until_it_is_removed(server: Server, proxy: Proxy) -> None:
    with server.connect(proxy.listen) as connection:
        ask(connection)
        server.client.add_toxic(NAME, ToxicSpec("slow", "latency", attributes={"latency": 250}))
        before = time.monotonic()
        ask(connection)
        assert time.monotonic() - before >= 0.25
        server.client.remove_toxic(NAME, "slow")
        assert proxy.toxics() == {}


def test_a_toxic_is_taken_as_it_was_given(server: Server, proxy: Proxy) -> None:
    spec = ToxicSpec("slow", "latency", "upstream", 0.5, {"latency": 7, "jitter": 3})
    told = server.client.add_toxic(NAME, spec)
    expected = {"name": "slow", "type": "latency", "stream": "upstream", "toxicity": 0.5}
    assert told == {**expected, "attributes": {"latency": 7, "jitter": 3}}
    (toxic,) = proxy.toxics().values()
    assert (toxic.name, toxic.stream, toxic.toxicity, toxic.attributes["latency"]) == ("slow", "upstream", 0.5, 7)


def test_a_toxic_can_be_changed_in_place(server: Server, proxy: Proxy) -> None:
    server.client.add_toxic(NAME, ToxicSpec("slow", "latency", attributes={"latency": 7}))
    server.client.update_toxic(NAME, ToxicSpec("slow", "latency", toxicity=0.25, attributes={"latency": 9}))
    (toxic,) = proxy.toxics().values()
    assert (toxic.attributes["latency"], toxic.toxicity) == (9, 0.25)


def test_toxics_are_told_by_name_and_stay_while_a_proxy_is_off(server: Server, proxy: Proxy) -> None:
    assert server.client.toxics(NAME) == ()
    server.client.add_toxic(NAME, ToxicSpec("mark", "noop"))
    server.client.set_enabled(NAME, False)
    assert server.client.toxics(NAME) == ("mark",)
    with pytest.raises(ControlPlaneError, match="proxy not found"):
        server.client.toxics("nobody")


def test_removing_what_is_not_there_is_fine(server: Server, proxy: Proxy) -> None:
    server.client.remove_toxic(NAME, "never-was")
    server.client.remove_toxic("no-such-proxy", "never-was")


def test_the_users_own_calls_work_on_one_proxy(server: Server, proxy: Proxy) -> None:
    toxic = proxy.add_toxic(type="latency", attributes={"latency": 1})
    assert toxic.name == "latency_downstream"
    assert proxy.get_toxic("latency_downstream").attributes["latency"] == 1
    assert proxy.destroy_toxic("latency_downstream")
    with pytest.raises(TypeError, match="toxicty"):
        proxy.add_toxic(type="latency", attributes={"latency": 1}, toxicty=0.5)
    assert server.client.get_proxy(NAME).listen == proxy.listen
    assert proxy.destroy()
    assert server.client.proxies() == {}


def test_populating_again_leaves_connections_alone(server: Server) -> None:
    wanted = [
        ProxySpec("a", server.address(), server.upstream),
        ProxySpec("b", server.address(), server.upstream, enabled=False),
    ]
    made = server.client.populate(wanted)
    assert [(proxy.name, proxy.enabled) for proxy in made] == [("a", True), ("b", False)]
    with server.connect(made[0].listen) as connection:
        ask(connection)
        server.client.populate(wanted)
        assert ask(connection) == b"xxxxx"


def test_reset_enables_everything_and_removes_every_toxic(server: Server, proxy: Proxy) -> None:
    server.client.add_toxic(NAME, ToxicSpec("slow", "latency", attributes={"latency": 1}))
    server.client.set_enabled(NAME, False)
    server.client.reset()
    assert proxy.toxics() == {}
    assert server.get(proxy.listen) == b"xxxxx"


def test_an_error_comes_with_the_servers_own_words(server: Server, proxy: Proxy) -> None:
    with pytest.raises(ControlPlaneError, match="409: proxy already exists"):
        server.client.create_proxy(NAME, server.address(), server.upstream)
    with pytest.raises(ControlPlaneError, match="404: proxy not found"):
        server.client.set_enabled("no-such-proxy", False)
    server.client.add_toxic(NAME, ToxicSpec("slow", "latency", attributes={"latency": 1}))
    with pytest.raises(ControlPlaneError, match="409: toxic already exists"):
        server.client.add_toxic(NAME, ToxicSpec("slow", "latency", attributes={"latency": 1}))


def test_a_listening_port_that_is_taken_is_an_error(server: Server, proxy: Proxy) -> None:
    with pytest.raises(ControlPlaneError, match="address already in use"):
        server.client.create_proxy("other", proxy.listen, server.upstream)


def test_an_http_proxy_in_the_environment_is_ignored(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert server.client.version()


ACCEPTED = (
    ToxicSpec("t", "latency", attributes={"latency": 0, "jitter": 86_400_000}, toxicity=0),
    ToxicSpec("t", "latency", "upstream", attributes={"latency": 1, "jitter": 1}),
    ToxicSpec("t", "bandwidth", attributes={"rate": 1}),
    ToxicSpec("t", "bandwidth", attributes={"rate": 2**53 // 1024}),
    ToxicSpec("t", "slow_close", attributes={"delay": 1}),
    ToxicSpec("t", "slicer", attributes={"average_size": 1}),
    ToxicSpec("t", "slicer", attributes={"average_size": 1, "size_variation": 1, "delay": 1}),
    ToxicSpec("t", "slicer", attributes={"average_size": 2**53, "size_variation": 2**53}),
    ToxicSpec("t", "limit_data", attributes={"bytes": 0}),
    ToxicSpec("t", "timeout", attributes={"timeout": 1}),
    ToxicSpec("t", "reset_peer", attributes={"timeout": 0}),
    ToxicSpec("t", "noop"),
)


@pytest.mark.parametrize("spec", ACCEPTED, ids=[f"{spec.type} {spec.attributes}" for spec in ACCEPTED])
def test_the_server_survives_traffic_under_every_toxic_that_is_let_through(
    server: Server, proxy: Proxy, spec: ToxicSpec
) -> None:
    server.client.add_toxic(NAME, spec)
    try:
        with server.connect(proxy.listen, timeout_s=0.5) as connection:
            ask(connection)
    except OSError:
        pass  # what the toxic does to a client is its own business
    assert server.process.poll() is None
    assert server.client.version()


@pytest.mark.parametrize(("kind", "attributes"), [("slicer", {}), ("bandwidth", {"rate": -1})])
def test_what_is_refused_would_have_killed_the_server(
    server: Server, proxy: Proxy, kind: str, attributes: dict[str, int]
) -> None:
    with pytest.raises(UsageError):
        server.client.add_toxic(NAME, ToxicSpec("t", kind, attributes=attributes))
    path = f"/proxies/{NAME.replace('[', '%5B').replace(']', '%5D')}/toxics"
    server.client.call("POST", path, {"type": kind, "attributes": attributes})
    with server.connect(proxy.listen) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        while _receives(connection):
            pass
    assert server.process.wait(10) != 0


def _receives(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(65536))
    except ConnectionResetError:
        return False


def test_a_control_plane_that_does_not_answer_is_given_up_in_time(server: Server, proxy: Proxy) -> None:
    impatient = Toxiproxy(server.client.api_url, timeout_s=0.2)
    freeze(server.process.pid)
    try:
        for call in (
            impatient.version,
            impatient.proxies,
            impatient.reset,
            lambda: impatient.set_enabled(NAME, False),
            lambda: impatient.remove_toxic(NAME, "slow"),
            lambda: impatient.add_toxic(NAME, ToxicSpec("slow", "noop")),
        ):
            with pytest.raises(ControlPlaneError, match=r"no answer to .* within 0\.2 s"):
                call()
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


def test_clients_that_abort_large_answers_under_latency_can_not_hang_us(server: Server, proxy: Proxy) -> None:
    """The server's own deadlock: whoever removes the toxic then waits 25 s for a 503, and every later call for ever."""
    impatient = Toxiproxy(server.client.api_url, timeout_s=1.0)

    def go_on_until_it_hangs() -> None:
        for _ in range(200):  # the first round does it nearly always
            impatient.add_toxic(NAME, ToxicSpec("slow", "latency", attributes={"latency": 20}))
            _all_at_once([lambda: _ask_and_abort(server, proxy.listen)] * 5)
            impatient.remove_toxic(NAME, "slow")

    with pytest.raises(ControlPlaneError, match="no answer to"):
        go_on_until_it_hangs()
    with pytest.raises(ControlPlaneError, match="no answer to GET /proxies"):
        impatient.proxies()


def _all_at_once(calls: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _ask_and_abort(server: Server, address: str) -> None:
    connection = server.connect(address)
    connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.recv(1000)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closes with a reset
    connection.close()
