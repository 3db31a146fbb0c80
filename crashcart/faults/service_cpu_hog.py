"""A service whose CPU somebody else uses: it runs for a part of the time only.

A real hog on a shared machine would starve the load and the harness too, and the run would be worthless. So nothing is
burned: the service alone is stopped and continued, twenty times a second, by a process of ours (`runtimes/hog.py`).
To the service, and to whoever calls it, that is what a hog is: time in which it is not run.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from crashcart.faults.services import ServiceFault, ServiceSettings
from crashcart.model.design import Design
from crashcart.model.errors import UsageError
from crashcart.model.fault import Step
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.topology import Topology
from crashcart.ports import FaultKind, Observer, World
from crashcart.runtimes.hogging import start_hog
from crashcart.runtimes.stateshare import StoppedShare

LEAST, MOST = 0.2, 0.95
WITHIN = 0.1
"""The share that is seen in half a second may differ by so much from the declared one."""


class Settings(ServiceSettings, frozen=True, forbid_unknown_fields=True):
    """For `share` of the time it does not run; 0.5 makes all that it computes take twice as long."""

    share: float


class CpuHog(ServiceFault):
    """`service/cpu-hog: {service: checkout, share: 0.7}`."""

    kind: ClassVar[str] = "service/cpu-hog"
    summary: ClassVar[str] = "A service gets only a part of the time of its processors."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """Its instances. UsageError for a share that can't be told from none, or from all."""
        assert isinstance(settings, Settings)
        if not LEAST <= settings.share <= MOST:
            what = f"a share of {settings.share:g} can't be shown"
            raise UsageError(what, remedy=f"from {LEAST:g} to {MOST:g}; for all of it there is service/pause")
        return super().targets(settings, design)

    def title(self, settings: msgspec.Struct) -> str:
        """`checkout does not run for 70 % of the time`."""
        assert isinstance(settings, Settings)
        return f"{settings.service} does not run for {settings.share * 100:g} % of the time"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """The state of its processes, as /proc tells it."""
        return Effect("observed", settle_s=0.5)

    def observer(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> Observer:
        """Samples of that state."""
        assert isinstance(settings, Settings)
        return StoppedShare(topology, planned.targets, settings.share, WITHIN)

    def steps(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> tuple[Step, ...]:
        """One an instance, with the share and the name under which its hog is kept."""
        assert isinstance(settings, Settings)
        plain = super().steps(settings, planned, topology)
        own = {"share": settings.share}
        return tuple(Step(s.kind, s.target, {**s.data, **own, "key": f"{planned.id} {s.target}"}) for s in plain)

    def apply(self, step: Step, world: World) -> None:
        """It has been stopped for the first time when this returns."""
        world.keep(step.data["key"], start_hog(world.topology, step.target, step.data["share"]))

    def undo(self, step: Step, world: World) -> None:
        """End our hog, or whoever's it is, and continue what it may have left stopped."""
        world.let_go(step.data["key"])
        world.resume(step.target)


FAULT: FaultKind = CpuHog()
