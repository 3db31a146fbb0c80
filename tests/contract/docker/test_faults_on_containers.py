"""What can be done to a container: seen by an observer or a question while it lasts, not before and not after."""

from __future__ import annotations

import http.client
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from crashcart.faults import decode_settings, registry
from crashcart.judging.shares import Part, unlike
from crashcart.model.chance import exact_interval
from crashcart.model.errors import BootError
from crashcart.model.fault import Step
from crashcart.model.plan import PlannedFault
from crashcart.observing import EVERY_S
from crashcart.runtimes.cgroups import cpu_count
from crashcart.runtimes.container_controls import was_killed_for_memory
from crashcart.runtimes.echoes import WAIT_S, WINDOW_S
from crashcart.runtimes.packet_loss import lacks_packet_loss
from crashcart.runtimes.procfs import read_process
from crashcart.runtimes.readiness import ask
from crashcart.runtimes.stopping import pids_of
from crashcart.runtimes.topology_file import load_topology
from crashcart.safety.faultlog import FaultLog, open_steps, read_log
from crashcart.safety.injector import Injector
from crashcart.safety.worlds import DetachedWorld, StackWorld
from tests.contract.docker.little_containers import container, inspected, observer_of, planned, stays
from tests.contract.runtime.little_stack import get, until

if TYPE_CHECKING:
    import docker

    from crashcart.ports import Observation, Observer
    from crashcart.runtimes.local_stack import LocalStack

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

HELPER = "helper[0]"
PROXY = "door[0].helper[0]"
WITHIN_S = 30.0
needs_loss = pytest.mark.skipif(bool(lacks_packet_loss()), reason=f"no packets can be lost here: {lacks_packet_loss()}")

CPU: dict[str, object] = {"service": HELPER, "cpus": 0.1}
MEMORY: dict[str, object] = {"service": HELPER, "mib": 48}
LOSS: dict[str, object] = {"service": HELPER, "share": 0.4}
PARTITION: dict[str, object] = {"service": HELPER}
ALL = [
    ("service/cpu-limit", CPU),
    ("service/memory-limit", MEMORY),
    ("network/partition", PARTITION),
    pytest.param("network/loss", LOSS, marks=needs_loss),
]


@contextmanager
def acting(stack: LocalStack, fault: PlannedFault, folder: Path) -> Iterator[Injector]:
    """Inject it, and undo it at the latest when the test is over: then nothing of it is open in the log."""
    log = folder / "faultlog.jsonl"
    injector = Injector(FaultLog(log), StackWorld(stack, ready_within_s=60.0), registry())
    injector.inject(fault, stack.topology, time.monotonic() + 600)
    try:
        yield injector
    finally:
        injector.undo(fault.id)
    assert open_steps(read_log(log)) == ()


def _steps(stack: LocalStack, fault: PlannedFault) -> tuple[Step, ...]:
    kind = registry()[fault.kind]
    return kind.steps(decode_settings(kind, fault.settings), fault, stack.topology)


def _undone_by_somebody_else(stack: LocalStack, fault: PlannedFault) -> None:
    """Twice, as the watchdog does it: from the log and the topology on disk alone."""
    world = DetachedWorld(load_topology(stack.topology.state_dir))
    for _ in range(2):
        for step in _steps(stack, fault):
            until(lambda step=step: _undone(step, world), within_s=WITHIN_S)  # type: ignore[misc]


def _undone(step: Step, world: DetachedWorld) -> bool:
    """False where what was started again is not ready yet, and wants to be asked for again."""
    try:
        registry()[step.kind].undo(step, world)
    except BootError:
        return False
    return True


def _looks(observer: Observer, count: int) -> list[Observation]:
    """As often as a run looks."""
    found = []
    for _ in range(count):
        time.sleep(EVERY_S)
        found.append(observer.look())
    return found


def _well(stack: LocalStack) -> None:
    """It answers beside its proxy and through it, at the address that it has always had."""
    found = stack.topology.instance(HELPER)
    until(lambda: ask("process", found.address) == "", within_s=WITHIN_S)
    until(lambda: ask("process", stack.topology.proxy(PROXY).listen) == "", within_s=WITHIN_S)


@contextmanager
def _working(address: str) -> Iterator[None]:
    """Somebody asks for work without a pause."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            connection = http.client.HTTPConnection(address, timeout=60.0)
            connection.request("GET", "/work")
            connection.getresponse().read()
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_limited_service_is_held_back_while_it_lasts_and_not_after(
    client: docker.DockerClient, stack: LocalStack, tmp_path: Path
) -> None:
    fault = planned("service/cpu-limit", CPU)
    observer = observer_of(fault, stack)
    with _working(stack.topology.instance(HELPER).address):
        assert stays(lambda: not observer.look().there, for_s=1.0)
        with acting(stack, fault, tmp_path):
            until(lambda: observer.look().there, within_s=WITHIN_S)
            looks = _looks(observer, 12)
            assert all(look.there for look in looks), looks
            used = [look.value or 1.0 for look in looks]
            assert max(used) <= 0.16
            assert sum(used) / len(used) <= 0.12
        time.sleep(1.0)
        (pid,) = pids_of(stack.topology, HELPER)
        before = cpu_count(pid).throttled
        time.sleep(1.0)
        assert cpu_count(pid).throttled == before
        assert not observer.look().there
    assert inspected(client, stack, HELPER)["HostConfig"]["CpuQuota"] in (-1, 0)
    observer.close()


def test_an_idle_service_that_is_limited_is_not_said_to_be_held_back(stack: LocalStack, tmp_path: Path) -> None:
    fault = planned("service/cpu-limit", {"service": HELPER, "cpus": 1.0})
    observer = observer_of(fault, stack)
    with acting(stack, fault, tmp_path):
        looks = _looks(observer, 8)
        assert not any(look.there for look in looks)
        assert "was not held back" in looks[-1].note
    observer.close()


def test_what_wants_more_memory_than_it_may_have_is_killed_and_comes_back_without_a_limit(
    client: docker.DockerClient, stack: LocalStack, tmp_path: Path
) -> None:
    fault = planned("service/memory-limit", MEMORY)
    observer, found = observer_of(fault, stack), stack.topology.instance(HELPER)
    assert not observer.look().there
    with acting(stack, fault, tmp_path):
        assert inspected(client, stack, HELPER)["HostConfig"]["Memory"] == 48 << 20
        assert not observer.look().there, "it has enough so far"
        assert get(found.address) == "ok"
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            get(found.address, "/hold")
        until(lambda: observer.look().there, within_s=WITHIN_S)
        assert was_killed_for_memory(found.spec_file)
    _well(stack)
    assert get(found.address, "/hold") == "ok", "64 MiB"
    assert not observer.look().there
    assert inspected(client, stack, HELPER)["HostConfig"]["Memory"] > 1 << 30
    assert stack.dead() == {}
    observer.close()
    stack.kill(HELPER)
    stack.start_again(HELPER, ready_within_s=60.0)


def test_what_can_not_even_begin_with_so_little_memory_is_shown_to_be_killed_for_it(
    stack: LocalStack, tmp_path: Path
) -> None:
    fault = planned("service/memory-limit", {"service": HELPER, "mib": 6})
    observer = observer_of(fault, stack)
    assert not observer.look().there
    with acting(stack, fault, tmp_path):
        until(lambda: observer.look().there, within_s=WITHIN_S)
        assert ask("process", stack.topology.instance(HELPER).address) != ""
    _well(stack)
    assert not observer.look().there
    assert stack.dead() == {}
    observer.close()


def test_a_service_that_was_killed_by_somebody_else_was_not_killed_for_memory(
    stack: LocalStack, tmp_path: Path
) -> None:
    fault = planned("service/memory-limit", MEMORY)
    observer = observer_of(fault, stack)
    with acting(stack, fault, tmp_path):
        stack.kill(HELPER)
        assert not observer.look().there
    _well(stack)
    observer.close()


def test_a_service_that_is_cut_off_answers_nobody_and_rejoined_is_where_it_was(
    client: docker.DockerClient, stack: LocalStack, tmp_path: Path
) -> None:
    fault, found = planned("network/partition", PARTITION), stack.topology.instance(HELPER)
    assert fault.watched == (PROXY,)
    before = {name: one["IPAddress"] for name, one in _networks(client, stack).items()}
    assert list(before.values()) == [found.address.partition(":")[0]]
    pids = pids_of(stack.topology, HELPER)
    _well(stack)
    with acting(stack, fault, tmp_path):
        for address in (found.address, stack.topology.proxy(PROXY).listen):
            assert ask("process", address) != ""
        assert _networks(client, stack) == {}
        assert get(stack.topology.proxy("door[0].helper[1]").listen) == "ok", "its neighbour is not"
        assert stack.dead() == {}
    _well(stack)
    assert {name: one["IPAddress"] for name, one in _networks(client, stack).items()} == before
    assert pids_of(stack.topology, HELPER) == pids, "the same process"


def _networks(client: docker.DockerClient, stack: LocalStack) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = inspected(client, stack, HELPER)["NetworkSettings"]["Networks"]
    return found


def test_cutting_off_what_is_cut_off_already_changes_nothing(stack: LocalStack) -> None:
    fault, kind, world = planned("network/partition", PARTITION), registry()["network/partition"], StackWorld(stack)
    (step,) = _steps(stack, fault)
    try:
        for _ in range(2):
            kind.apply(step, world)
        assert ask("process", stack.topology.instance(HELPER).address) != ""
    finally:
        kind.undo(step, world)
    _well(stack)


def test_a_service_that_dies_while_it_is_cut_off_is_rejoined_at_its_own_address(
    client: docker.DockerClient, stack: LocalStack
) -> None:
    fault, kind, world = planned("network/partition", PARTITION), registry()["network/partition"], StackWorld(stack)
    (step,) = _steps(stack, fault)
    kind.apply(step, world)
    try:
        stack.kill(HELPER)
        container(client, stack, HELPER).start()  # and does not get far: it has no address to listen at
        assert _networks(client, stack) == {}
        until(lambda: not pids_of(stack.topology, HELPER), within_s=WITHIN_S)
    finally:
        kind.undo(step, world)
        stack.start_again(HELPER, ready_within_s=60.0)
    _well(stack)
    own = stack.topology.instance(HELPER).address.partition(":")[0]
    assert [one["IPAddress"] for one in _networks(client, stack).values()] == [own]


@needs_loss
def test_the_declared_share_of_packets_is_lost_while_it_lasts_and_none_after(stack: LocalStack, tmp_path: Path) -> None:
    fault = planned("network/loss", LOSS)
    observer = observer_of(fault, stack)
    try:
        assert _lost(observer).n == 0
        with acting(stack, fault, tmp_path):
            lost = _lost(observer)
            assert len(_rules(stack)) == 1
        assert _may_be(lost, 0.4), lost
        assert not any(_may_be(lost, 0.4 * wrong) for wrong in (0.5, 0.7, 1.3, 1.5)), f"{lost} would be anything"
        assert _lost(observer).n == 0
        assert _rules(stack) == []
    finally:
        observer.close()


@needs_loss
@pytest.mark.parametrize("wrong", [0.5, 1.5])
def test_another_share_of_packets_than_the_declared_one_is_told_from_it(stack: LocalStack, wrong: float) -> None:
    fault, kind, world = planned("network/loss", LOSS), registry()["network/loss"], StackWorld(stack)
    (step,) = _steps(stack, fault)
    lie = msgspec.structs.replace(step, data={**step.data, "share": 0.4 * wrong})
    observer = observer_of(fault, stack)
    kind.apply(lie, world)
    try:
        lost = _lost(observer)
    finally:
        kind.undo(lie, world)
        observer.close()
    assert _may_be(lost, 0.4 * wrong), lost
    assert unlike(lost, 0.4), lost


def _lost(observer: Observer) -> Part:
    """Of all that were asked for in some seconds, each counted once; of those under way when they began, none."""
    time.sleep(WAIT_S + WINDOW_S)
    observer.look()
    looks = _looks(observer, 24)
    return Part(sum(look.part for look in looks), sum(look.whole for look in looks))


def _may_be(part: Part, share: float) -> bool:
    """Whether it lies in the exact binomial interval: one test in 10,000 fails by chance."""
    low, high = exact_interval(part.n, part.of, confidence=0.9999)
    return low <= share <= high


def _rules(stack: LocalStack) -> list[str]:
    """What the packet filter in its network drops."""
    (pid,) = pids_of(stack.topology, HELPER)
    argv = ("nsenter", "--target", str(pid), "--net", "iptables", "--wait", "5", "-S", "INPUT")
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30)
    return [line for line in said.stdout.splitlines() if "DROP" in line]


@needs_loss
def test_a_rule_that_is_there_twice_is_taken_back_twice(stack: LocalStack) -> None:
    fault, kind, world = planned("network/loss", LOSS), registry()["network/loss"], StackWorld(stack)
    (step,) = _steps(stack, fault)
    for _ in range(2):
        kind.apply(step, world)
    assert len(_rules(stack)) == 2
    kind.undo(step, world)
    assert _rules(stack) == []


@pytest.mark.parametrize(("kind", "settings"), ALL)
def test_whoever_finds_it_in_the_log_can_undo_it_as_often_as_they_like(
    client: docker.DockerClient, stack: LocalStack, tmp_path: Path, kind: str, settings: dict[str, object]
) -> None:
    fault = planned(kind, settings)
    with acting(stack, fault, tmp_path):
        _undone_by_somebody_else(stack, fault)
        _well(stack)
        found = inspected(client, stack, HELPER)["HostConfig"]
        assert found["CpuQuota"] in (-1, 0)
        assert found["Memory"] == 0 or found["Memory"] > 1 << 30
    _well(stack)
    assert stack.dead() == {}


@pytest.mark.parametrize(("kind", "settings"), ALL)
def test_where_the_container_is_gone_there_is_nothing_left_to_undo(
    client: docker.DockerClient, stack: LocalStack, tmp_path: Path, kind: str, settings: dict[str, object]
) -> None:
    fault = planned(kind, settings)
    with acting(stack, fault, tmp_path):
        container(client, stack, HELPER).remove(force=True)
        until(lambda: not pids_of(stack.topology, HELPER))
        _undone_by_somebody_else(stack, fault)
    stack.start_again(HELPER, ready_within_s=60.0)
    _well(stack)


def test_a_service_in_a_container_hangs_while_it_is_paused(stack: LocalStack, tmp_path: Path) -> None:
    fault = planned("service/pause", {"service": HELPER})
    with acting(stack, fault, tmp_path):
        assert "no answer within" in ask("process", stack.topology.instance(HELPER).address)
        assert "no answer within" in ask("process", stack.topology.proxy(PROXY).listen)
        _undone_by_somebody_else(stack, fault)
        _well(stack)
    _well(stack)


def test_a_service_in_a_container_does_not_run_for_the_declared_share_of_the_time(
    stack: LocalStack, tmp_path: Path
) -> None:
    fault = planned("service/cpu-hog", {"service": HELPER, "share": 0.6})
    observer = observer_of(fault, stack)
    try:
        assert not observer.look().there
        with acting(stack, fault, tmp_path):
            until(lambda: observer.look().there, within_s=WITHIN_S)
        until(lambda: observer.look().value == 0.0, within_s=WITHIN_S)
    finally:
        observer.close()
    _well(stack)
    (pid,) = pids_of(stack.topology, HELPER)
    row = read_process(pid)
    assert row is not None
    assert row.state != "T"


def test_a_killed_container_comes_back_when_the_fault_is_undone(stack: LocalStack, tmp_path: Path) -> None:
    fault = planned("service/kill", {"service": HELPER})
    with acting(stack, fault, tmp_path):
        assert pids_of(stack.topology, HELPER) == set()
        assert ask("process", stack.topology.proxy(PROXY).listen) != ""
        _undone_by_somebody_else(stack, fault)
        _well(stack)
    _well(stack)
