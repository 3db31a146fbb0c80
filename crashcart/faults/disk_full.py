"""A disk without room: every write of the service fails with ENOSPC, really."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import msgspec

from crashcart.faults.services import ServiceFault, ServiceSettings
from crashcart.model.design import Design
from crashcart.model.errors import UsageError
from crashcart.model.fault import Step
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.topology import Topology
from crashcart.ports import FaultKind, Observer, World
from crashcart.runtimes.disks import DiskObserver, empty_disk, fill_disk


class DiskFull(ServiceFault):
    """`disk/full: {service: orders-db}`."""

    kind: ClassVar[str] = "disk/full"
    summary: ClassVar[str] = "The disk of a service's data is full; the design gives it one of its own (disk_mib)."
    settings_type: ClassVar[type[msgspec.Struct]] = ServiceSettings

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """Its instances. UsageError where their data are not on a disk of their own."""
        found = super().targets(settings, design)
        service = found[0].partition("[")[0]
        if not design.services[service].disk_mib:
            what = f"in the design {design.metadata.name!r} the data of {service} are on a disk with everything else"
            raise UsageError(what, remedy=f"give it one of its own: services: {{{service}: {{disk_mib: 256}}}}")
        return found

    def title(self, settings: msgspec.Struct) -> str:
        """`the disk of orders-db is full`."""
        assert isinstance(settings, ServiceSettings)
        return f"the disk of {settings.service} is full"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """A write of somebody else's fails for want of room."""
        return Effect("observed", settle_s=1.0)

    def observer(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> Observer:
        """Who tries to write."""
        return DiskObserver(tuple(Path(topology.instance(target).data_dir) for target in planned.targets))

    def steps(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> tuple[Step, ...]:
        """One an instance, with the folder of its data."""
        return tuple(
            Step(
                self.kind,
                target,
                {"folder": topology.instance(target).data_dir, "key": f"{planned.id} {target}"},
            )
            for target in planned.targets
        )

    def apply(self, step: Step, world: World) -> None:
        """Take all the room, and whatever becomes free."""
        world.keep(step.data["key"], fill_disk(Path(step.data["folder"])))

    def undo(self, step: Step, world: World) -> None:
        """Give the room back; a server that has died of it is started again, and waited for."""
        world.let_go(step.data["key"])
        empty_disk(Path(step.data["folder"]))
        world.start_again(step.target)


FAULT: FaultKind = DiskFull()
