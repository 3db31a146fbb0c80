"""A service, or a whole zone, that no packet reaches: its containers are taken out of their networks, and put back."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from crashcart.faults.services import ServiceGone
from crashcart.model.design import Design, instances, select_instances
from crashcart.model.errors import UsageError
from crashcart.model.fault import Step
from crashcart.model.hints import did_you_mean
from crashcart.model.plan import Effect
from crashcart.ports import FaultKind, World
from crashcart.runtimes.container_controls import cut_off, rejoin

SETTLE_S = 5.0
"""Rejoined, it is found again when the next connection is tried; those that hang are given up first."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of both. A zone is whatever services of the design have the same `zone`."""

    service: str = ""
    zone: str = ""


class Partition(ServiceGone):
    """`network/partition: {service: inventory-db}`, `network/partition: {zone: east}`."""

    kind: ClassVar[str] = "network/partition"
    summary: ClassVar[str] = "A service or a zone is cut off from the network, without a word to anybody, and rejoined."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings
    least_s: ClassVar[float] = 5.0
    """A probe that hangs is given up after 2 s."""

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """The instances. UsageError where there is no such service or zone."""
        assert isinstance(settings, Settings)
        if bool(settings.service) == bool(settings.zone):
            raise UsageError("it wants a service or a zone", remedy="write one of both")
        if settings.service:
            return select_instances(design, settings.service)
        zones = sorted({service.zone for service in design.services.values()} - {""})
        if settings.zone not in zones:
            what = f"the design {design.metadata.name!r} has no zone {settings.zone!r}"
            raise UsageError(what, remedy=did_you_mean(settings.zone, zones, "zones"))
        inside = [name for name, service in design.services.items() if service.zone == settings.zone]
        return tuple(one for name in inside for one in instances(design, name))

    def title(self, settings: msgspec.Struct) -> str:
        """`inventory-db is cut off`."""
        assert isinstance(settings, Settings)
        return f"{settings.service or f'the zone {settings.zone}'} is cut off"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """Beside the proxy, too, nobody answers."""
        return Effect("instance-down", settle_s=SETTLE_S)

    def apply(self, step: Step, world: World) -> None:
        """It has no network any more when this returns; open connections hang."""
        cut_off(step.data["spec_file"])

    def undo(self, step: Step, world: World) -> None:
        """Put it back where it was; one that is there is left alone."""
        rejoin(step.data["spec_file"])


FAULT: FaultKind = Partition()
