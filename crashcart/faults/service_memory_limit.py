"""A container with too little memory: the kernel kills in it whatever wants more (an OOM kill)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from crashcart.faults.services import ServiceFault, ServiceSettings
from crashcart.model.design import Design
from crashcart.model.errors import UsageError
from crashcart.model.fault import Step
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.topology import Topology
from crashcart.ports import FaultKind, Observation, Observer, World
from crashcart.runtimes.cgroups import killed_for_memory
from crashcart.runtimes.container_controls import limit_memory, was_killed_for_memory
from crashcart.runtimes.spec import spawn_from_spec
from crashcart.runtimes.stopping import pids_of

LEAST_MIB = 6
"""The engine takes no less."""
RESTART_S = 10.0
"""For so long after its start a service may be booting still."""
DIES_WITHIN_S = 3.0
"""What can't begin in so little dies of it at once; what lives on was not limited enough, which its observer says."""
LOOK_S = 0.05


class Settings(ServiceSettings, frozen=True, forbid_unknown_fields=True):
    """What each instance may hold at most, in MiB, its caches included."""

    mib: int


class MemoryLimit(ServiceFault):
    """`service/memory-limit: {service: cart, mib: 16}`."""

    kind: ClassVar[str] = "service/memory-limit"
    summary: ClassVar[str] = "A service's container has too little memory: the kernel kills what wants more."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings
    least_s: ClassVar[float] = 5.0

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """Its instances. UsageError for a limit that can't be."""
        assert isinstance(settings, Settings)
        if settings.mib < LEAST_MIB:
            raise UsageError(f"a limit of {settings.mib} MiB can't be set", remedy=f"{LEAST_MIB} or more")
        return super().targets(settings, design)

    def title(self, settings: msgspec.Struct) -> str:
        """`cart may hold 16 MiB`."""
        assert isinstance(settings, Settings)
        return f"{settings.service} may hold {settings.mib} MiB"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """The kernel has killed in it, and nobody has lifted the limit."""
        return Effect("observed", settle_s=RESTART_S)

    def observer(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> Observer:
        """Of every instance."""
        files = {target: topology.instance(target).spec_file for target in planned.targets}
        return KilledForMemory(topology, files)

    def steps(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> tuple[Step, ...]:
        """One an instance, with the limit."""
        assert isinstance(settings, Settings)
        plain = super().steps(settings, planned, topology)
        return tuple(Step(step.kind, step.target, {**step.data, "mib": settings.mib}) for step in plain)

    def apply(self, step: Step, world: World) -> None:
        """One that holds more is killed; what it can't begin with, it is killed for when it begins again."""
        if limit_memory(step.data["spec_file"], step.data["mib"]):
            return
        # the kernel does not shrink what is in use: the limit is there from the next life on, which begins now
        world.kill(step.target)
        limit_memory(step.data["spec_file"], step.data["mib"])
        spawn_from_spec(step.data["spec_file"])
        deadline = time.monotonic() + DIES_WITHIN_S
        while not was_killed_for_memory(step.data["spec_file"]) and time.monotonic() < deadline:
            time.sleep(LOOK_S)

    def undo(self, step: Step, world: World) -> None:
        """No limit any more; one that has died of it is started again, and waited for."""
        limit_memory(step.data["spec_file"], None)
        world.start_again(step.target)


class KilledForMemory:
    """Implements `ports.Observer`: the kernel's own count, and what the engine says of one that has ended."""

    def __init__(self, topology: Topology, spec_files: Mapping[str, str]) -> None:
        """There when something was killed in every one of them since we first looked, or the instance itself was."""
        self._topology = topology
        self._spec_files = spec_files
        self._before: dict[str, int] = {}
        self._seen: dict[str, int] = {}

    def look(self) -> Observation:
        """Its value is how many were killed."""
        alive = [name for name in self._spec_files if not self._was_killed(name)]
        killed = sum(self._seen.values())
        return Observation(not alive, float(killed), f"in {', '.join(alive)} nothing was killed" if alive else "")

    def close(self) -> None:
        """Nothing is held."""

    def _was_killed(self, name: str) -> bool:
        pids = pids_of(self._topology, name)
        if not pids:
            killed = was_killed_for_memory(self._spec_files[name])
            self._seen[name] = int(killed)
            return killed
        count = killed_for_memory(min(pids))
        # the count is the container's life's: one that was started again begins at 0
        before = self._before.setdefault(name, count)
        self._before[name] = min(before, count)
        self._seen[name] = count - self._before[name]
        return count > self._before[name]


FAULT: FaultKind = MemoryLimit()
