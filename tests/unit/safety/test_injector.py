from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from crashcart.faults.links import LinkFault, LinkSettings
from crashcart.model.errors import ControlPlaneError, CrashcartError, NotUndone
from crashcart.model.fault import Step
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.topology import Topology
from crashcart.ports import Holder, World
from crashcart.safety.faultlog import FaultLog, OpenStep, open_steps, read_log
from crashcart.safety.injector import Injector

TOPOLOGY = Topology("run", "/s", "/p", (), (), "http://127.0.0.1:1", "")
TARGETS = ("a[0].b[0]", "a[0].b[1]")
PLANNED = PlannedFault("f1", "fake", {"link": "a.b"}, "b is broken", TARGETS, TARGETS, ("a.b",), 0, 10, Effect("none"))


class FakeFault(LinkFault):
    kind: ClassVar[str] = "fake"
    summary: ClassVar[str] = ""
    settings_type: ClassVar[type[msgspec.Struct]] = LinkSettings

    def __init__(self, log: Path) -> None:
        self.log = log
        self.broken: set[str] = set()
        self.undone: list[str] = []
        self.log_at_apply: list[list[str]] = []
        self.on_apply: Callable[[Step], None] = lambda _: None
        self.refusals: list[Exception] = []

    def title(self, settings: msgspec.Struct) -> str:
        return "b is broken"

    def effect(self, settings: msgspec.Struct) -> Effect:
        return Effect("none")

    def apply(self, step: Step, world: World) -> None:
        self.log_at_apply.append([record.op for record in read_log(self.log)])
        self.on_apply(step)
        self.broken.add(step.target)

    def undo(self, step: Step, world: World) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.undone.append(step.target)
        self.broken.discard(step.target)


class FakeWorld:
    topology = TOPOLOGY

    def kill(self, instance: str) -> None: ...

    def terminate(self, instance: str, drain_s: float) -> None: ...

    def start_again(self, instance: str) -> None: ...

    def pause(self, instance: str) -> None: ...

    def resume(self, instance: str) -> None: ...

    def keep(self, key: str, holder: Holder) -> None: ...

    def let_go(self, key: str) -> None: ...


@pytest.fixture
def log(tmp_path: Path) -> FaultLog:
    return FaultLog(tmp_path / "faultlog.jsonl")


@pytest.fixture
def fault(log: FaultLog) -> FakeFault:
    return FakeFault(log.path)


def _injector(log: FaultLog, fault: FakeFault, **keywords: object) -> Injector:
    return Injector(log, FakeWorld(), {"fake": fault}, **keywords)  # type: ignore[arg-type]


def _inject(injector: Injector, expires_in_s: float = 60) -> None:
    injector.inject(PLANNED, TOPOLOGY, time.monotonic() + expires_in_s)


def _ops(log: FaultLog) -> Sequence[str]:
    return [record.op for record in read_log(log.path)]


def test_all_steps_are_announced_before_the_first_is_done(log: FaultLog, fault: FakeFault) -> None:
    _inject(_injector(log, fault))
    assert fault.broken == set(TARGETS)
    assert [ops[:2] for ops in fault.log_at_apply] == [["will-inject", "will-inject"]] * 2
    assert _ops(log) == ["will-inject"] * 2 + ["injected"] * 2


def test_undo_is_announced_and_done_once(log: FaultLog, fault: FakeFault) -> None:
    injector = _injector(log, fault)
    injector.undo("f1")
    _inject(injector)
    injector.undo("f1")
    injector.undo("f1")
    assert injector.undo_all() == ()
    assert sorted(fault.undone) == list(TARGETS)
    assert sorted(_ops(log)[4:]) == ["undone"] * 2 + ["will-undo"] * 2


def test_where_the_log_can_not_be_written_nothing_is_injected(
    log: FaultLog, fault: FakeFault, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CrashcartError, match=r"nothing was injected: .*No space left"):
        _inject(_injector(log, fault))
    assert fault.broken == set()


def test_a_log_that_can_not_be_written_is_no_reason_to_leave_it_broken(
    log: FaultLog, fault: FakeFault, monkeypatch: pytest.MonkeyPatch
) -> None:
    injector = _injector(log, fault)
    _inject(injector)

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert injector.undo_all() == ()
    assert fault.broken == set()


def test_a_step_that_fails_takes_the_whole_fault_back(log: FaultLog, fault: FakeFault) -> None:
    def second_fails(step: Step) -> None:
        if step.target == TARGETS[1]:
            raise ControlPlaneError("no")

    fault.on_apply = second_fails
    with pytest.raises(ControlPlaneError, match="no"):
        _inject(_injector(log, fault))
    assert fault.broken == set()
    assert open_steps(read_log(log.path)) == ()


def test_an_expired_fault_is_not_injected(log: FaultLog, fault: FakeFault) -> None:
    with pytest.raises(CrashcartError, match="its time is over"):
        _inject(_injector(log, fault), expires_in_s=-1)
    assert fault.broken == set()


def test_what_was_taken_back_before_it_was_done_is_not_left_done(log: FaultLog, fault: FakeFault) -> None:
    """As when the harness is stopped between announcing and doing, and the watchdog undoes what is not there yet."""

    def watchdog_was_here(step: Step) -> None:
        with FaultLog(log.path, by="watchdog") as other:
            other.note("undone", OpenStep("f1", step, 0.0, ""))

    fault.on_apply = watchdog_was_here
    with pytest.raises(ControlPlaneError, match="taken back by the watchdog"):
        _inject(_injector(log, fault))
    assert fault.broken == set()


def test_an_undo_that_is_refused_for_a_moment_is_tried_again(log: FaultLog, fault: FakeFault) -> None:
    injector = _injector(log, fault)
    _inject(injector)
    fault.refusals = [ControlPlaneError("busy"), ControlPlaneError("busy"), OSError("busy")]
    assert injector.undo_all() == ()
    assert fault.broken == set()


def test_a_control_plane_that_stays_broken_is_asked_to_be_restarted_once(log: FaultLog, fault: FakeFault) -> None:
    asked: list[str] = []

    def restart(why: str) -> None:
        asked.append(why)
        fault.refusals = []

    injector = _injector(log, fault, on_control_plane_hung=restart, give_up_s=0.3)
    _inject(injector)
    fault.refusals = [ControlPlaneError("broken")] * 1000
    assert injector.undo_all() == ()
    assert asked == ["broken"]
    assert fault.broken == set()


def test_what_stays_broken_is_named_and_can_be_tried_again(log: FaultLog, fault: FakeFault) -> None:
    injector = _injector(log, fault, give_up_s=0.3)
    _inject(injector)
    fault.refusals = [ControlPlaneError("broken")] * 1000
    with pytest.raises(NotUndone, match=r"f1 fake on a\[0\].b\[0\] could not be undone: broken"):
        injector.undo("f1")
    assert len(injector.undo_all()) == 2
    assert _ops(log)[-1] == "undo-failed"
    fault.refusals = []
    assert injector.undo_all() == ()
    assert fault.broken == set()


def test_an_undo_that_never_returns_does_not_hold_the_harness(log: FaultLog, fault: FakeFault) -> None:
    injector = _injector(log, fault, give_up_s=0.2)
    _inject(injector)
    stuck = fault.undo
    fault.undo = lambda step, world: time.sleep(1.0)  # type: ignore[method-assign]
    assert "no answer within 0.2 s" in injector.undo_all()[0]
    fault.undo = stuck  # type: ignore[method-assign]


def test_an_error_of_our_own_in_an_undo_is_told_with_its_place(log: FaultLog, fault: FakeFault) -> None:
    injector = _injector(log, fault)
    _inject(injector)
    fault.refusals = [ZeroDivisionError("oops")]
    assert "ZeroDivisionError: oops" in injector.undo_all()[0]
