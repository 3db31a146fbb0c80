"""A service that goes: killed, or asked to end in good order; started at its old address when the fault ends."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from crashcart.faults.services import ServiceGone, ServiceSettings
from crashcart.model.fault import Step
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.topology import Topology
from crashcart.ports import FaultKind, World

RESTART_S = 10.0
"""For so long after its start a service may be booting still."""
DRAIN_S = 8.0
"""So long a service may take to finish what it has begun, once it is asked to end."""


class Settings(ServiceSettings, frozen=True, forbid_unknown_fields=True):
    """`kill`: as a crash does (SIGKILL). `terminate`: as a deployment does (SIGTERM, and time to drain)."""

    how: Literal["kill", "terminate"] = "kill"


class Kill(ServiceGone):
    """`service/kill: {service: checkout}`."""

    kind: ClassVar[str] = "service/kill"
    summary: ClassVar[str] = "A service's processes are killed, or asked to end, and started again when the fault ends."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings

    def title(self, settings: msgspec.Struct) -> str:
        """`checkout is killed`."""
        assert isinstance(settings, Settings)
        return f"{settings.service} is {'killed' if settings.how == 'kill' else 'terminated'}"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """Beside the proxy, too, nobody answers."""
        return Effect("instance-down", settle_s=RESTART_S)

    def steps(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> tuple[Step, ...]:
        """With how it is to go."""
        assert isinstance(settings, Settings)
        plain = super().steps(settings, planned, topology)
        return tuple(Step(step.kind, step.target, {**step.data, "how": settings.how}) for step in plain)

    def apply(self, step: Step, world: World) -> None:
        """No process of it is left when this returns."""
        if step.data["how"] == "terminate":
            world.terminate(step.target, DRAIN_S)
        else:
            world.kill(step.target)

    def undo(self, step: Step, world: World) -> None:
        """Start it at its old address; one that runs is left alone."""
        world.start_again(step.target)


FAULT: FaultKind = Kill()
