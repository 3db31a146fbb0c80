"""A whole run on stand-ins, where it goes wrong: what is put back all the same, and what is said of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from crashcart.model.errors import BootError, ControlPlaneError, NotUndone
from crashcart.model.recording import Machine, SeriesSample
from crashcart.model.slo import Selector
from crashcart.model.topology import ProxyAddress
from crashcart.model.truth import Quiesce
from crashcart.ports import HarnessState, LoadStatus
from crashcart.recorder import verify
from crashcart.running import Parts, Prepared, run
from crashcart.running.interrupts import Interrupted, Interrupts
from crashcart.runtimes.starting import Cancelled
from tests.unit.running.fakes import (
    FakeInjector,
    FakeLoad,
    FakeOperator,
    FakeReader,
    FakeStack,
    FakeState,
    FakeView,
    FakeWatchdog,
)
from tests.unit.running.test_timeline import TOPOLOGY, demo, fast


def _ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@dataclass
class StackOfARun(FakeStack):
    stopped: bool = False
    on_stop: Callable[[], None] = lambda: None
    on_spawn: Callable[[], None] = lambda: None
    spawned: bool = False
    left: tuple[str, ...] = ()

    def spawn_part(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> object:
        self.on_spawn()
        self.spawned = True
        return None

    def stop(self) -> Sequence[str]:
        self.on_stop()
        self.stopped = True
        return self.left


@dataclass
class FakeRuntime:
    stack: StackOfARun
    on_boot: Callable[[], None] = lambda: None
    on_clean: Callable[[], None] = lambda: None
    cleaned: bool = False
    name: str = "fake"

    def start(self, *_: object, unwanted: Callable[[], bool], **__: object) -> StackOfARun:
        try:
            self.on_boot()
            if unwanted():
                raise Cancelled
        except BaseException:
            self.on_clean()
            self.cleaned = True
            raise
        return self.stack


@dataclass
class ReaderThatGoesAway(FakeReader):
    """All is up when the run begins; afterwards nothing can be read."""

    def latest(self, selector: Selector) -> Sequence[tuple[Mapping[str, str], float]]:
        if selector.metric == "up":
            return [({"job": job}, 1.0) for job in ("load", "harness")]
        raise ControlPlaneError("gone")

    def raw(self, selector: Selector, **_: float) -> Sequence[SeriesSample]:
        raise ControlPlaneError("gone")


@dataclass
class NobodyIsUp(FakeReader):
    """Whoever asks is told that the load is down."""

    on_asked: Callable[[], None] = lambda: None

    def latest(self, selector: Selector) -> Sequence[tuple[Mapping[str, str], float]]:
        self.on_asked()
        return [({"job": "load"}, 0.0)]


@dataclass
class LoadOfARun(FakeLoad):
    on_ready: Callable[[], None] = lambda: None
    on_start: Callable[[], None] = lambda: None
    on_stop: Callable[[], None] = lambda: None

    def ready(self) -> str:
        self.on_ready()
        return ""

    def start(self, t0_mono_s: float) -> None:
        self.on_start()

    def stop(self) -> None:
        self.on_stop()

    def status(self) -> LoadStatus:
        return LoadStatus("settled", 100, 100, 0, 1.0)


@dataclass
class InjectorOfARun(FakeInjector):
    not_undone: list[tuple[str, ...]] = field(default_factory=list)
    """What it says the next times it is asked to undo everything."""

    def undo_all(self) -> Sequence[str]:
        return self.not_undone.pop(0) if self.not_undone else ()


@dataclass
class FakeProbes:
    on_start: Callable[[], None] = lambda: None
    stopped: bool = False

    def start(self) -> None:
        self.on_start()

    def stop(self) -> None:
        self.stopped = True


@dataclass
class Whole:
    """A run with everything it needs."""

    out: Path
    runtime: FakeRuntime
    injector: InjectorOfARun = field(default_factory=InjectorOfARun)
    load: LoadOfARun = field(default_factory=LoadOfARun)
    watchdog: FakeWatchdog = field(default_factory=FakeWatchdog)
    reader: FakeReader = field(default_factory=ReaderThatGoesAway)
    state: HarnessState = field(default_factory=FakeState)
    probes: FakeProbes = field(default_factory=FakeProbes)

    def go(self) -> str:
        made = fast(demo())
        truth = msgspec.structs.replace(made.truth, sources={}, quiesce=Quiesce(within_s=1.0, zero={}))
        fault = msgspec.structs.replace(made.faults[0], watched=())
        made = msgspec.structs.replace(made, truth=truth, faults=(fault,))
        parts = Parts(
            runtime=self.runtime,  # type: ignore[arg-type]
            view=FakeView(),
            state=self.state,
            start_watchdog=lambda *_: self.watchdog,
            metrics=lambda _: self.reader,
            probes=lambda *_: self.probes,
            injector=lambda *_: self.injector,
            load_control=lambda _: self.load,
            operator=FakeOperator(),
            free_port=lambda: 1,
        )
        machine = Machine(1, 1, "", "", {})
        return run(Prepared(made, "run", self.out, self.out, "", machine, {}), parts, Interrupts())

    @property
    def ended(self) -> str:
        return verify(self.out).ended


@pytest.fixture
def whole(tmp_path: Path) -> Whole:
    (tmp_path / "logs").mkdir()
    door = ProxyAddress("shoppers[0].storefront[0]", "shoppers.storefront", "127.0.0.1:1", "127.0.0.1:2", "http")
    topology = msgspec.structs.replace(TOPOLOGY, state_dir=str(tmp_path), proxies=(door,))
    return Whole(tmp_path, FakeRuntime(StackOfARun(topology)))


def _go_wrong() -> None:
    raise ZeroDivisionError("ours")


def test_whoever_asks_again_while_a_boot_is_taken_back_does_not_keep_it_from_that(whole: Whole) -> None:
    whole.runtime.on_boot = _ctrl_c
    whole.runtime.on_clean = _ctrl_c
    assert whole.go() == "interrupted"
    assert whole.runtime.cleaned
    assert whole.ended == "interrupted"


def test_a_boot_is_told_of_a_request_and_never_broken_off_between_two_of_its_steps(whole: Whole) -> None:
    steps = []

    def boot() -> None:
        steps.append("before")
        _ctrl_c()
        steps.append("after")

    whole.runtime.on_boot = boot
    assert whole.go() == "interrupted"
    assert steps == ["before", "after"]
    assert whole.runtime.cleaned, "it gave up by itself"
    assert not whole.runtime.stack.spawned


def test_a_load_that_is_being_started_is_started_before_a_request_is_heard(whole: Whole) -> None:
    whole.runtime.stack.on_spawn = _ctrl_c
    assert whole.go() == "interrupted"
    assert whole.runtime.stack.spawned
    assert whole.runtime.stack.stopped


def test_probes_that_have_begun_in_part_are_stopped_before_the_recording_ends(whole: Whole) -> None:
    def twice() -> None:
        _ctrl_c()
        _ctrl_c()

    whole.probes.on_start = twice
    assert whole.go() == "interrupted"
    assert whole.probes.stopped


def test_a_request_that_something_swallowed_is_heard_all_the_same(whole: Whole) -> None:
    def answer_that_swallows() -> None:
        with pytest.raises(Interrupted):
            _ctrl_c()

    whole.load.on_ready = answer_that_swallows
    assert whole.go() == "interrupted"
    assert whole.runtime.stack.stopped


def test_what_could_not_be_removed_is_named_as_well(whole: Whole) -> None:
    whole.runtime.stack.left = ("the Docker engine does not answer: it is gone",)
    with pytest.raises(NotUndone, match="the Docker engine does not answer"):
        whole.go()
    assert whole.runtime.stack.stopped


def test_what_could_not_be_undone_is_named_whatever_else_went_wrong(whole: Whole) -> None:
    whole.load.on_start = _go_wrong
    whole.injector.not_undone = [("f1 could not be undone: no answer",)]
    with pytest.raises(NotUndone, match="f1 could not be undone"):
        whole.go()
    assert whole.runtime.stack.stopped
    assert whole.ended == "broken"
    assert '"event":"not-undone"' in (whole.out / "events.jsonl").read_text(encoding="utf-8")


def test_what_was_undone_at_the_second_attempt_is_undone(whole: Whole) -> None:
    whole.injector.not_undone = [("f1 could not be undone: busy",), ()]
    assert whole.go() == "gate-closed"
    assert whole.injector.not_undone == []


def test_a_run_whose_end_went_wrong_did_not_end_as_if_all_were_well(whole: Whole) -> None:
    whole.runtime.stack.on_stop = _go_wrong
    with pytest.raises(ZeroDivisionError):
        whole.go()
    assert whole.ended == "broken"


def test_a_part_of_the_harness_that_dies_after_the_last_phase_is_noticed(whole: Whole) -> None:
    def die() -> None:
        whole.watchdog.lives = False

    whole.load.on_stop = die
    whole.go()
    assert '"event":"died"' in (whole.out / "events.jsonl").read_text(encoding="utf-8")


def test_who_dies_before_the_load_begins_is_named_and_not_waited_for(whole: Whole) -> None:
    stack = whole.runtime.stack
    whole.reader = NobodyIsUp(on_asked=lambda: stack.dying.update({"toxiproxy": ("out of memory", "(signal 9)")}))
    with pytest.raises(BootError, match=r"(?s)toxiproxy: it died before the load began.*out of memory"):
        whole.go()
    assert stack.stopped
