"""Which adapter stands behind which port."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from crashcart.faults import decode_settings, registry
from crashcart.model.plan import Plan, PlannedFault

if TYPE_CHECKING:
    from crashcart.model.topology import Topology
    from crashcart.ports import FaultInjector, Probes, Runtime, Stack, View
    from crashcart.running import Parts
    from crashcart.running.parts import ProbeSink


def make_parts(made: Plan, run_id: str, view: View, runtime: Runtime) -> Parts:
    """All that a run of this plan needs."""
    from crashcart.harnessmetrics import HarnessMetrics
    from crashcart.loadcontrol import LoadClient
    from crashcart.prometheus import PrometheusReader
    from crashcart.running import Parts
    from crashcart.runtimes.addresses import Reservations
    from crashcart.safety.operator import OperatorsWord
    from crashcart.safety.watchdog import Watchdog
    from crashcart.toxiproxy import Toxiproxy

    ports = Reservations()  # held until this process ends
    return Parts(
        runtime=runtime,
        view=view,
        state=HarnessMetrics(made),
        start_watchdog=partial(Watchdog.start, runtime=runtime.name),
        metrics=lambda topology: PrometheusReader(topology.prometheus_url),
        probes=_probes,
        injector=_injector,
        load_control=LoadClient,
        operator=OperatorsWord(run_id),
        free_port=ports.take,
        proxies_answer=lambda topology: Toxiproxy(topology.toxiproxy_api).version,
    )


def _injector(stack: Stack, log: Path, on_restart: Callable[[str], None]) -> FaultInjector:
    from crashcart.safety.faultlog import FaultLog
    from crashcart.safety.injector import Injector
    from crashcart.safety.worlds import StackWorld

    def restart(_reason: str) -> None:
        stack.restart_toxiproxy(disabled=())
        on_restart("toxiproxy")

    return Injector(FaultLog(log), StackWorld(stack), registry(), on_control_plane_hung=restart)


def _probes(topology: Topology, faults: Sequence[PlannedFault], sink: ProbeSink, t0: float) -> Probes:
    from crashcart.observing import ObserverRunner
    from crashcart.probes import ProbeRunner

    kinds = registry()
    observers = []
    for fault in faults:
        kind = kinds[fault.kind]
        observer = kind.observer(decode_settings(kind, fault.settings), fault, topology)
        if observer is not None:
            observers.append((fault.id, observer))
    watched = tuple(dict.fromkeys(name for fault in faults for name in fault.watched))
    whole = {name for fault in faults if fault.effect.whole_answers for name in fault.watched}
    return _Both(ProbeRunner(topology, watched, sink, t0, whole), ObserverRunner(observers, sink, t0))


class _Both:
    """Probes of proxies, and observers, as one."""

    def __init__(self, *runners: Probes) -> None:
        self._runners = runners

    def start(self) -> None:
        """Begin."""
        for runner in self._runners:
            runner.start()

    def stop(self) -> None:
        """End."""
        for runner in self._runners:
            runner.stop()
