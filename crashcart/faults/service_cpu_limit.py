"""A container that may use no more than so much processor time, as a limit that was set too low does it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from crashcart.faults.services import ServiceFault, ServiceSettings
from crashcart.model.design import Design
from crashcart.model.errors import UsageError
from crashcart.model.fault import Step
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.topology import Topology
from crashcart.ports import FaultKind, Observation, Observer, World
from crashcart.runtimes.cgroups import CpuCount, cpu_count
from crashcart.runtimes.container_controls import PERIOD_US, limit_cpu
from crashcart.runtimes.stopping import pids_of

LEAST_CPUS, MOST_CPUS = 0.01, 64.0
WINDOW_S = 0.4
OVER = 1.15
"""Each processor may have taken a slice of the share of the period before."""
TICK_S = 0.005
"""The kernel may notice so late that a share is used up; what was too much it takes off the next one."""


class Settings(ServiceSettings, frozen=True, forbid_unknown_fields=True):
    """Processors' worth of time that each instance may use; 0.2 is a fifth of one."""

    cpus: float


class CpuLimit(ServiceFault):
    """`service/cpu-limit: {service: checkout, cpus: 0.1}`."""

    kind: ClassVar[str] = "service/cpu-limit"
    summary: ClassVar[str] = "A service's container may use no more than so much processor time."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings
    least_s: ClassVar[float] = 5.0

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """Its instances. UsageError for a limit that can't be."""
        assert isinstance(settings, Settings)
        if not LEAST_CPUS <= settings.cpus <= MOST_CPUS:
            remedy = f"from {LEAST_CPUS:g} to {MOST_CPUS:g}; what a service uses stands in the report of a run"
            raise UsageError(f"a limit of {settings.cpus:g} processors can't be set", remedy=remedy)
        return super().targets(settings, design)

    def title(self, settings: msgspec.Struct) -> str:
        """`checkout may use 0.1 of a processor`."""
        assert isinstance(settings, Settings)
        return f"{settings.service} may use {settings.cpus:g} of a processor"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """The kernel's own count of the times it was held back, and of what it used."""
        return Effect("observed", settle_s=WINDOW_S + 0.5)

    def observer(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> Observer:
        """Of every instance."""
        assert isinstance(settings, Settings)
        return Throttled(topology, planned.targets, settings.cpus)

    def steps(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> tuple[Step, ...]:
        """One an instance, with the limit."""
        assert isinstance(settings, Settings)
        plain = super().steps(settings, planned, topology)
        return tuple(Step(step.kind, step.target, {**step.data, "cpus": settings.cpus}) for step in plain)

    def apply(self, step: Step, world: World) -> None:
        """The kernel holds it back from now on."""
        limit_cpu(step.data["spec_file"], step.data["cpus"])

    def undo(self, step: Step, world: World) -> None:
        """No limit any more."""
        limit_cpu(step.data["spec_file"], None)


class Throttled:
    """Implements `ports.Observer`: what the containers used in the last half second, and whether they wanted more."""

    def __init__(self, topology: Topology, instances: Sequence[str], cpus: float) -> None:
        """There when every one of them was held back, and used no more than `cpus`."""
        self._topology = topology
        self._cpus = cpus
        self._counts: dict[str, deque[tuple[float, CpuCount]]] = {name: deque() for name in instances}

    def look(self) -> Observation:
        """Its value is what the busiest of them used, in processors."""
        now = time.monotonic()
        seen = [self._look_at(name, counts, now) for name, counts in self._counts.items()]
        used = max(cpus for cpus, _, _ in seen)
        free = [name for name, (_, _, held_back) in zip(self._counts, seen, strict=True) if not held_back]
        there = not free and all(cpus <= most for cpus, most, _ in seen)
        return Observation(there, round(used, 4), f"{', '.join(free)} was not held back" if free else "")

    def close(self) -> None:
        """Nothing is held."""

    def _look_at(self, name: str, counts: deque[tuple[float, CpuCount]], now: float) -> tuple[float, float, bool]:
        """What it used, the most that it can have used under the limit, and whether it was held back."""
        count = cpu_count(min(pids_of(self._topology, name), default=0))
        if counts and count.used_s < counts[-1][1].used_s:  # it was started again
            counts.clear()
        counts.append((now, count))
        while len(counts) > 2 and counts[1][0] <= now - WINDOW_S:
            counts.popleft()
        since, first = counts[0]
        if now - since <= 0.0:
            return 0.0, 0.0, False
        # a share comes at the start of each period: one more start than whole periods may fall in between
        most = self._cpus * (1 + PERIOD_US / 1e6 / (now - since)) * OVER + TICK_S / (now - since)
        return (count.used_s - first.used_s) / (now - since), most, count.throttled > first.throttled


FAULT: FaultKind = CpuLimit()
