"""What the inside asks of the outside. Adapters implement these; tests have fakes beside them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

import msgspec

from crashcart.model.design import Design
from crashcart.model.fault import Step
from crashcart.model.plan import Effect, Phase, PlannedFault, Slices
from crashcart.model.recording import ProbeSample, SeriesSample
from crashcart.model.slo import Selector
from crashcart.model.topology import Topology


class Stack(Protocol):
    """A started shop. Not thread-safe but for `topology`, `kill`, `terminate` and `start_again`."""

    topology: Topology
    boot_s: float

    def dead(self) -> Mapping[str, tuple[str, ...]]:
        """Instances that died without being asked to → the last lines of their logs."""

    def removed(self) -> Collection[str]:
        """Of the dead, those that somebody else has taken away: their end is not the shop's doing."""

    def kill(self, instance: str) -> None:
        """SIGKILL the instance's whole process group and reap it. Idempotent."""

    def terminate(self, instance: str, *, drain_s: float) -> None:
        """Ask the instance to end, as its kind wants to be asked; what lives after `drain_s` is killed. Idempotent."""

    def start_again(self, instance: str, *, ready_within_s: float) -> None:
        """Start a killed instance at its old address and wait until it is ready. Idempotent while it runs."""

    def cpu_s(self) -> Mapping[str, float]:
        """CPU seconds used so far by each part (instances, toxiproxy, prometheus), children and dead ones included."""

    def memory_mib(self) -> Mapping[str, float]:
        """Resident memory of each part that `cpu_s` tells of."""

    def private_mib(self) -> Mapping[str, float]:
        """The same without files and what may be shared: what a leak makes grow."""

    def io_bytes(self) -> Mapping[str, Mapping[str, int]]:
        """Instance → `received`, `sent`, `read`, `written` in its present life, where the runtime can tell."""

    def file(self, instance: str, name: str) -> Path:
        """A file in the instance's data folder (its ledger); it may not exist."""

    def spawn_part(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> object:
        """Start a part of the harness such as `load`, in a process group of its own, counted and ended with all."""

    def end_part(self, name: str) -> None:
        """SIGTERM, then SIGKILL. Idempotent."""

    def restart_toxiproxy(self, *, disabled: Iterable[str] | None = None) -> None:
        """Start Toxiproxy again with its proxies; `disabled` ones stay down (None: those that were)."""

    def database_address(self, service: str) -> str:
        """postgresql:// address of the server itself, beside the proxy."""

    def let_go(self) -> None:
        """Leave everything running: from now on it is known by its topology alone."""

    def stop(self) -> Sequence[str]:
        """End everything (SIGTERM, then SIGKILL), within seconds, and remove the throw-away data. Idempotent.

        Returns what could not be removed, in words.
        """


class Runtime(Protocol):
    """Something that can run a design."""

    name: ClassVar[str]

    def lacks(self, fault_kind: str) -> str:
        """What keeps this runtime, on this machine, from doing faults of that kind; empty where it can."""

    def start(
        self,
        design: Design,
        *,
        run_id: str,
        project_dir: Path,
        log_dir: Path,
        extra_scrapes: Mapping[str, str],
        progress: Callable[[str], None],
        unwanted: Callable[[], bool] = ...,
    ) -> Stack:
        """Boot everything: databases, proxies, services, Prometheus. `extra_scrapes`: job → host:port (load, harness).

        BootError names what did not come up, with its last log lines. `unwanted` is asked several times a second; once
        it says yes, the boot ends with an error of its own. Nothing is left running in either case.
        """


class World(Protocol):
    """What a fault may act on."""

    topology: Topology

    def kill(self, instance: str) -> None:
        """As `Stack.kill`."""

    def terminate(self, instance: str, drain_s: float, /) -> None:
        """As `Stack.terminate`."""

    def start_again(self, instance: str) -> None:
        """As `Stack.start_again`, from the instance's spec file alone. CrashcartError where it does not come up."""

    def pause(self, instance: str) -> None:
        """SIGSTOP all its processes: none runs when this returns. CrashcartError where one can't be stopped."""

    def resume(self, instance: str) -> None:
        """End whoever stops it, and SIGCONT all its processes. Idempotent; NotUndone where one stays stopped."""

    def keep(self, key: str, holder: Holder, /) -> None:
        """Keep what a fault needs to go on (a thread that switches, a session that locks) until `let_go`."""

    def let_go(self, key: str) -> None:
        """End what was kept under that key. None is fine: who undoes may be another process than who did it."""


class Holder(Protocol):
    """Something that keeps a fault going."""

    def close(self) -> None:
        """End, within a second or two. Idempotent."""


class Observation(msgspec.Struct, frozen=True):
    """One look at a fault's effect."""

    there: bool
    value: float | None = None
    note: str = ""
    ago_s: float = 0.0
    """What it tells of was there so long before the look, in the middle."""
    part: int = 0
    whole: int = 0
    """Of so many that were counted since the look before, so many showed the effect."""


class Observer(Protocol):
    """Looks for a fault's effect by another path than the one that brings it about."""

    def look(self) -> Observation:
        """Now. Within a second; a CrashcartError or OSError is recorded as "not there", with its words."""

    def close(self) -> None:
        """No more looks."""


class FaultKind(Protocol):
    """One way to break something: one small file in `crashcart/faults/`."""

    kind: ClassVar[str]
    """`toxiproxy/latency`."""
    summary: ClassVar[str]
    settings_type: ClassVar[type[msgspec.Struct]]
    """Frozen, unknown keys forbidden; `link`, `service` or `database` names the target."""
    least_s: ClassVar[float]
    """A fault of this kind that is shorter can't be shown to have acted."""

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """Proxies or instances it acts on. UsageError where a setting is wrong or a target does not exist."""

    def watched(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """Proxies whose probes show the effect; none where an observer or counters do."""

    def links(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """Links on which the clients must have made calls meanwhile; none where there is no such link."""

    def title(self, settings: msgspec.Struct) -> str:
        """One line for people."""

    def effect(self, settings: msgspec.Struct) -> Effect:
        """What must be measured."""

    def slices(self, settings: msgspec.Struct, fault_id: str, seed: int, lasts_s: float) -> Slices:
        """Between which seconds from its start it acts; empty: all the time. Pure."""

    def steps(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> tuple[Step, ...]:
        """Pure: what will be done, with all that is needed to undo it."""

    def observer(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> Observer | None:
        """Who looks for an `observed` effect, from the start of the load to the end; None for other effects."""

    def apply(self, step: Step, world: World) -> None:
        """Do it. Must have taken effect when it returns."""

    def undo(self, step: Step, world: World) -> None:
        """Take it back, from the step alone. Idempotent, also when it was never done. NotUndone if it can't be."""


class MetricsReader(Protocol):
    """Prometheus, narrowly."""

    def latest(self, selector: Selector) -> Sequence[tuple[Mapping[str, str], float]]:
        """Latest value of each series selected, (labels with `__name__`, value). ControlPlaneError when unreadable."""

    def raw(
        self, selector: Selector, *, start_wall_s: float, end_wall_s: float, t0_wall_s: float
    ) -> Sequence[SeriesSample]:
        """Raw scraped samples, `t` relative to t0."""

    def scrape_gaps(
        self, *, start_wall_s: float, end_wall_s: float, longest_s: float, at_least: Collection[str] = ()
    ) -> Sequence[tuple[str, float, float]]:
        """(job/instance, from, to) wall seconds in which no successful scrape was made for longer than `longest_s`.

        One of `at_least` of which nothing is known was never scraped.
        """


class LoadControl(Protocol):
    """The load process, from outside."""

    def ready(self) -> str:
        """Empty when it has all it needs to start, else what it lacks."""

    def start(self, t0_mono_s: float) -> None:
        """The first arrival is due at t0."""

    def status(self) -> LoadStatus:
        """ControlPlaneError when it doesn't answer."""

    def cut(self, phase: str, end_s: float) -> tuple[Phase, ...]:
        """End that phase at `end_s`, or as soon after it as what was said of intents stays true; the new timeline.

        ControlPlaneError when it doesn't answer, or won't.
        """

    def stop(self) -> None:
        """No more arrivals; those inside may finish."""


class LoadStatus(msgspec.Struct, frozen=True):
    """What the load says of itself."""

    state: str
    """`waiting`, `running`, `settling`, `settled`."""
    scheduled: int
    started: int
    in_flight: int
    lateness_p99_ms: float
    not_started: int = 0
    """Sessions that the load could not begin: too many were under way."""
    crashed: int = 0
    """Sessions that ended in an error of the load's own."""
    broken: str = ""
    """Why nothing it counts can be believed any more; empty while all is well. It sends nobody else then."""


class Watchdog(Protocol):
    """The process that undoes and stops everything when the harness can't."""

    def watch(self, topology: Topology) -> None:
        """This is what was started."""

    def beat(self) -> None:
        """The harness is alive. Several times a second."""

    def trouble(self) -> Sequence[str]:
        """Empty while it watches over a run that is whole; else that it died, or what it did in the harness's place."""

    def release(self) -> None:
        """The run ended well: stand down."""


class FaultInjector(Protocol):
    """Does and undoes planned faults, each in the log before it is done."""

    def inject(self, planned: PlannedFault, topology: Topology, expires_mono_s: float) -> None:
        """It has taken effect when this returns."""

    def undo(self, fault_id: str) -> None:
        """NotUndone names what is left."""

    def undo_all(self) -> Sequence[str]:
        """Undo what is open; returns what could not be undone."""


class Probes(Protocol):
    """Evidence, four times a second."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End; all samples are written when this returns."""


class RunRecorder(Protocol):
    """Writes the recording's files; JSONL, each line whole. Thread-safe."""

    def event(self, name: str, t: float, **data: object) -> None:
        """One line of `events.jsonl`."""

    def probe(self, sample: ProbeSample) -> None:
        """One line of `evidence.jsonl`."""

    def series(self, samples: Sequence[SeriesSample]) -> None:
        """Raw samples."""


class HarnessState(Protocol):
    """The harness's own metrics, scraped with the rest: which phase it is, which faults are active."""

    address: str
    """host:port."""

    def phase(self, name: str) -> None:
        """Entered."""

    def fault(self, planned: PlannedFault, active: bool) -> None:
        """Injected or undone."""

    def close(self) -> None:
        """Stop listening."""


class Operator(Protocol):
    """The people around a run: what they say at its terminal, or from another."""

    def wants_end(self) -> bool:
        """Somebody said `crashcart abort`, since the last time this was asked."""

    def marks(self) -> Sequence[tuple[float, str]]:
        """Marks said since the last time: when (monotonic seconds), and what."""

    def hold(self, phase: str) -> None:
        """Listen from now on for the word that ends this phase; what was said before does not count."""

    def goes_on(self) -> bool:
        """Whether it was said. Never waits."""

    def let_go(self) -> None:
        """The phase is over. Idempotent."""


class View(Protocol):
    """Who looks on while it runs."""

    def note(self, text: str) -> None:
        """One line for people: a step of the boot, a phase, a fault."""

    def show(self, snapshot: Snapshot) -> None:
        """Once a second."""


class Snapshot(msgspec.Struct, frozen=True):
    """A second of a run, for people."""

    t: float
    phase: str
    phase_ends_s: float
    ends_s: float
    offered_per_s: float
    started_per_s: float
    in_flight: int
    lateness_p99_ms: float
    slis: tuple[tuple[str, float | None, float], ...]
    """(SLO, observed in this phase so far, objective)."""
    active_faults: tuple[str, ...]
    holding: bool = False
    """The phase's own time is over; it goes on until somebody says so."""
