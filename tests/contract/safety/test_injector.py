from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from crashcart.faults import registry
from crashcart.model.errors import ControlPlaneError, NotUndone
from crashcart.safety.faultlog import FaultLog, open_steps, read_log
from crashcart.safety.injector import Injector
from tests.contract.safety.small_stack import SmallStack, broken, planned

SLOW = planned("toxiproxy/latency", {"link": "door.shop", "latency": "300ms"}, "f1")
DOWN = planned("toxiproxy/down", {"link": "door.shop[1]"}, "f2")
KILL = planned("service/kill", {"service": "shop[0]"}, "f3")


def _soon() -> float:
    return time.monotonic() + 60


def test_every_fault_is_there_when_inject_returns_and_gone_when_undo_does(
    small_stack: SmallStack, tmp_path: Path
) -> None:
    log = FaultLog(tmp_path / "log")
    injector, topology = Injector(log, small_stack, registry()), small_stack.topology
    effects = (
        (SLOW, ["door[0].shop[0] has crashcart-f1", "door[0].shop[1] has crashcart-f1"]),
        (DOWN, ["door[0].shop[1] is off"]),
        (KILL, ["shop[0] is down"]),
    )
    for fault, effect in effects:
        injector.inject(fault, topology, _soon())
        assert sorted(broken(topology)) == effect
        injector.undo(fault.id)
        assert broken(topology) == []
        injector.undo(fault.id)
    assert open_steps(read_log(log.path)) == ()


def test_all_are_undone_together_and_nothing_is_injected_after_that(small_stack: SmallStack, tmp_path: Path) -> None:
    injector, topology = Injector(FaultLog(tmp_path / "log"), small_stack, registry()), small_stack.topology
    for fault in (SLOW, DOWN, KILL):
        injector.inject(fault, topology, _soon())
    assert injector.undo_all() == ()
    assert injector.undo_all() == ()
    assert broken(topology) == []
    with pytest.raises(Exception, match="the run is ending"):
        injector.inject(DOWN, topology, _soon())
    assert broken(topology) == []


def test_a_control_plane_that_hangs_is_started_again_and_the_fault_is_gone(
    small_stack: SmallStack, tmp_path: Path
) -> None:
    asked: list[str] = []
    restart = _restarting(small_stack, asked)
    injector = Injector(FaultLog(tmp_path / "log"), small_stack, registry(), on_control_plane_hung=restart)
    injector.inject(SLOW, small_stack.topology, _soon())
    injector.inject(KILL, small_stack.topology, _soon())
    small_stack.signal("toxiproxy", signal.SIGSTOP)
    assert injector.undo_all() == ()
    assert len(asked) == 1
    assert "no answer" in asked[0]
    assert broken(small_stack.topology) == []


def test_a_control_plane_that_clients_have_deadlocked_is_started_again_and_the_fault_is_gone(
    small_stack: SmallStack, tmp_path: Path
) -> None:
    """The server's own bug: a toxic is removed under clients that went away from large answers, and it hangs."""
    asked: list[str] = []
    restart = _restarting(small_stack, asked)
    for attempt in range(20):
        log = FaultLog(tmp_path / f"log-{attempt}")
        injector = Injector(log, small_stack, registry(), on_control_plane_hung=restart)
        injector.inject(SLOW, small_stack.topology, _soon())
        with _going_away_from_large_answers(small_stack.topology.proxies[0].listen):
            assert injector.undo_all() == ()
        assert broken(small_stack.topology) == []
        assert open_steps(read_log(log.path)) == ()
        if asked:
            break
    assert "no answer" in asked[0]


def _restarting(stack: SmallStack, asked: list[str]) -> Callable[[str], None]:
    """Starts Toxiproxy again, and notes why."""

    def restart(why: str) -> None:
        asked.append(why)
        stack.restart_toxiproxy()

    return restart


@contextmanager
def _going_away_from_large_answers(address: str) -> Iterator[None]:
    """Clients come and go all the while: some are on their way out at any moment at which a toxic may be removed."""
    done = threading.Event()

    def keep_going_away() -> None:
        while not done.is_set():
            with suppress(OSError):
                _ask_and_go_away(address)

    clients = [threading.Thread(target=keep_going_away) for _ in range(10)]
    for client in clients:
        client.start()
    done.wait(0.3)  # until the first are answered, and late
    try:
        yield
    finally:
        done.set()
        for client in clients:
            client.join()


def _ask_and_go_away(address: str) -> None:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=1.0) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\n\r\n")
        connection.recv(1000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closes with a reset


def test_what_can_not_be_undone_is_named_and_stays_open(small_stack: SmallStack, tmp_path: Path) -> None:
    log = FaultLog(tmp_path / "log")
    injector = Injector(log, small_stack, registry())
    injector.inject(DOWN, small_stack.topology, _soon())
    small_stack.signal("toxiproxy", signal.SIGSTOP)
    with pytest.raises(NotUndone, match=r"f2 toxiproxy/down on door\[0\].shop\[1\] could not be undone"):
        injector.undo("f2")
    assert [str(step) for step in open_steps(read_log(log.path))] == ["f2 toxiproxy/down on door[0].shop[1]"]
    small_stack.signal("toxiproxy", signal.SIGCONT)
    assert injector.undo_all() == ()
    assert broken(small_stack.topology) == []


def test_a_fault_that_can_be_done_in_part_only_is_taken_back_whole(small_stack: SmallStack, tmp_path: Path) -> None:
    from crashcart.toxiproxy import ToxicSpec, Toxiproxy

    log = FaultLog(tmp_path / "log")
    taken = ToxicSpec("crashcart-f1", "latency", attributes={"latency": 1})
    Toxiproxy(small_stack.topology.toxiproxy_api).add_toxic("door[0].shop[1]", taken)
    with pytest.raises(ControlPlaneError, match="already exists"):
        Injector(log, small_stack, registry()).inject(SLOW, small_stack.topology, _soon())
    assert broken(small_stack.topology) == []
    assert open_steps(read_log(log.path)) == ()
