"""Stand-ins at the ports, written by hand: they do what they are told and remember what was asked of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crashcart.model.errors import ControlPlaneError
from crashcart.model.holding import cut_phases
from crashcart.model.plan import Phase, PlannedFault
from crashcart.model.recording import ProbeSample, SeriesSample
from crashcart.model.slo import Selector
from crashcart.model.topology import Topology
from crashcart.ports import LoadStatus, Snapshot

Series = Sequence[tuple[Mapping[str, str], float]]


@dataclass
class FakeReader:
    """Prometheus with whatever counters it is given."""

    series: Series = ()
    unreadable: bool = False

    def latest(self, selector: Selector) -> Series:
        if self.unreadable:
            raise ControlPlaneError("no answer within 2 s")
        return [(labels, value) for labels, value in self.series if selector.accepts(dict(labels))]

    def raw(self, selector: Selector, **_: float) -> Sequence[SeriesSample]:
        return []

    def scrape_gaps(self, **_: object) -> Sequence[tuple[str, float, float]]:
        return []


@dataclass
class FakeRecorder:
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    at: list[tuple[str, float]] = field(default_factory=list)

    def event(self, name: str, t: float, **data: object) -> None:
        self.events.append((name, data))
        self.at.append((name, t))

    def probe(self, sample: ProbeSample) -> None:
        raise AssertionError("the timeline takes no probes")

    def series(self, samples: Sequence[SeriesSample]) -> None:
        raise AssertionError("the timeline takes no series")

    def named(self, name: str) -> list[dict[str, object]]:
        return [data for known, data in self.events if known == name]

    def times(self, name: str) -> list[float]:
        return [t for known, t in self.at if known == name]


@dataclass
class FakeStack:
    topology: Topology
    boot_s: float = 0.1
    dying: dict[str, tuple[str, ...]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    """Of those, who was taken away by somebody."""

    def dead(self) -> Mapping[str, tuple[str, ...]]:
        return self.dying

    def removed(self) -> Collection[str]:
        return self.taken

    def kill(self, instance: str) -> None:
        raise AssertionError(instance)

    def terminate(self, instance: str, *, drain_s: float) -> None:
        raise AssertionError(instance)

    def start_again(self, instance: str, *, ready_within_s: float) -> None:
        raise AssertionError(instance)

    def cpu_s(self) -> Mapping[str, float]:
        return {"checkout[0]": 1.0}

    def memory_mib(self) -> Mapping[str, float]:
        return {"checkout[0]": 40.0}

    def private_mib(self) -> Mapping[str, float]:
        return {"checkout[0]": 25.0}

    def io_bytes(self) -> Mapping[str, Mapping[str, int]]:
        return {"checkout[0]": {"received": 1, "sent": 2, "read": 3, "written": 4}}

    def file(self, instance: str, name: str) -> Path:
        raise AssertionError(instance)

    def spawn_part(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> object:
        raise AssertionError(name)

    def end_part(self, name: str) -> None:
        raise AssertionError(name)

    def restart_toxiproxy(self, *, disabled: Iterable[str] | None = None) -> None:
        raise AssertionError(disabled)

    def database_address(self, service: str) -> str:
        raise AssertionError(service)

    def let_go(self) -> None:
        raise AssertionError("nobody leaves it running")

    def stop(self) -> Sequence[str]:
        raise AssertionError("stopping is the caller's")


@dataclass
class FakeLoad:
    stopped: bool = False
    broken: str = ""
    not_started: int = 0
    phases: tuple[Phase, ...] = ()
    cuts: list[tuple[str, float]] = field(default_factory=list)

    def ready(self) -> str:
        return ""

    def start(self, t0_mono_s: float) -> None:
        return

    def status(self) -> LoadStatus:
        return LoadStatus("running", 100, 100, 3, 1.0, not_started=self.not_started, broken=self.broken)

    def cut(self, phase: str, end_s: float) -> tuple[Phase, ...]:
        self.cuts.append((phase, end_s))
        return cut_phases(self.phases, phase, end_s)

    def stop(self) -> None:
        self.stopped = True


@dataclass
class FakeOperator:
    """Says what it is given, once."""

    said: list[tuple[float, str]] = field(default_factory=list)
    goes_on_after: int | None = None
    """How often it is asked before it says yes; None: never."""
    held: list[str] = field(default_factory=list)

    def wants_end(self) -> bool:
        return False

    def marks(self) -> Sequence[tuple[float, str]]:
        said, self.said = self.said, []
        return said

    def hold(self, phase: str) -> None:
        self.held.append(phase)

    def goes_on(self) -> bool:
        if self.goes_on_after is None:
            return False
        self.goes_on_after -= 1
        return self.goes_on_after < 0

    def let_go(self) -> None:
        self.held.append("let go")


@dataclass
class FakeInjector:
    done: list[str] = field(default_factory=list)
    on_inject: Callable[[], None] = lambda: None
    on_undo: Callable[[], None] = lambda: None

    def inject(self, planned: PlannedFault, topology: Topology, expires_mono_s: float) -> None:
        self.on_inject()
        self.done.append(f"inject {planned.id}")

    def undo(self, fault_id: str) -> None:
        self.on_undo()
        self.done.append(f"undo {fault_id}")

    def undo_all(self) -> Sequence[str]:
        return ()


@dataclass
class FakeWatchdog:
    beats: int = 0
    lives: bool = True

    def watch(self, topology: Topology) -> None:
        return

    def beat(self) -> None:
        self.beats += 1

    def trouble(self) -> Sequence[str]:
        return () if self.lives else ("the watchdog has ended with status 1",)

    def release(self) -> None:
        return


class FakeState:
    address = "127.0.0.1:1"

    def phase(self, name: str) -> None:
        return

    def fault(self, planned: PlannedFault, active: bool) -> None:
        return

    def close(self) -> None:
        return


@dataclass
class FakeView:
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def show(self, snapshot: Snapshot) -> None:
        return
