"""A service that hangs: every process of it is stopped; connections are made, and nobody answers on them."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from crashcart.faults.services import ServiceGone, ServiceSettings
from crashcart.model.fault import Step
from crashcart.model.plan import Effect
from crashcart.ports import FaultKind, World

SETTLE_S = 2.0
"""Continued, it first answers what has waited for it."""


class Pause(ServiceGone):
    """`service/pause: {service: checkout}`."""

    kind: ClassVar[str] = "service/pause"
    summary: ClassVar[str] = "A service hangs: its processes are stopped (SIGSTOP), and continued when the fault ends."
    settings_type: ClassVar[type[msgspec.Struct]] = ServiceSettings
    least_s: ClassVar[float] = 5.0
    """A probe that hangs is given up after 2 s; one that the service answers when it runs again shows nothing."""

    def title(self, settings: msgspec.Struct) -> str:
        """`checkout hangs`."""
        assert isinstance(settings, ServiceSettings)
        return f"{settings.service} hangs"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """Beside the proxy, too, nobody answers."""
        return Effect("instance-down", settle_s=SETTLE_S)

    def apply(self, step: Step, world: World) -> None:
        """None of its processes runs when this returns."""
        world.pause(step.target)

    def undo(self, step: Step, world: World) -> None:
        """Continue them; those that run are left alone."""
        world.resume(step.target)


FAULT: FaultKind = Pause()
