"""What a run is given: its adapters, chosen in `crashcart/wiring/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crashcart.model.holding import Hold
from crashcart.model.plan import Plan, PlannedFault
from crashcart.model.recording import Machine, ProbeSample
from crashcart.model.topology import Topology
from crashcart.ports import (
    FaultInjector,
    HarnessState,
    LoadControl,
    MetricsReader,
    Operator,
    Probes,
    Runtime,
    Stack,
    View,
    Watchdog,
)

ProbeSink = Callable[[ProbeSample], None]


@dataclass(frozen=True, slots=True)
class Parts:
    """Adapters, and makers of those that need a started stack."""

    runtime: Runtime
    view: View
    state: HarnessState
    """The harness's own metrics; listens already."""
    start_watchdog: Callable[[str, Path], Watchdog]
    """(run id, recording folder) → a watchdog that watches from before the boot."""
    metrics: Callable[[Topology], MetricsReader]
    probes: Callable[[Topology, Sequence[PlannedFault], ProbeSink, float], Probes]
    """(topology, faults, sink, t0) → what looks for their effects; it has not begun."""
    injector: Callable[[Stack, Path, Callable[[str], None]], FaultInjector]
    """(stack, fault log, called with a part's name when it had to be restarted)."""
    load_control: Callable[[str], LoadControl]
    """host:port → client."""
    operator: Operator
    free_port: Callable[[], int]
    proxies_answer: Callable[[Topology], Callable[[], object]] = lambda _: lambda: None
    """Topology → asks Toxiproxy for a word; ControlPlaneError where there is none within two seconds."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One run, about to begin."""

    plan: Plan
    run_id: str
    project_dir: Path
    out: Path
    """The recording's folder; it exists and is empty."""
    commit: str
    machine: Machine
    environment: Mapping[str, str]
    """What the load process inherits."""
    hold: Hold | None = None
    """The phase that goes on until somebody says so."""
