"""A crash: SIGKILL of every process of a service, and its start at the old address when the fault ends."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from crashcart.faults.base import BaseFault
from crashcart.model.design import Design, proxies, select_instances
from crashcart.model.errors import UsageError
from crashcart.model.fault import Step
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.topology import Topology
from crashcart.ports import FaultKind, World

RESTART_S = 10.0
"""For so long after its start a service may be booting still."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`checkout` means all its replicas, `checkout[1]` one."""

    service: str


class Kill(BaseFault):
    """`service/kill: {service: checkout}`."""

    kind: ClassVar[str] = "service/kill"
    summary: ClassVar[str] = "A service's processes are killed (SIGKILL), and started again when the fault ends."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """Its instances."""
        assert isinstance(settings, Settings)
        return select_instances(design, settings.service)

    def watched(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """The proxies that lead to them. UsageError where nothing does: the kill could not be shown."""
        killed = self.targets(settings, design)
        found = tuple(proxy.name for proxy in proxies(design) if proxy.dependency in killed)
        if not found:
            what = f"no link leads to {', '.join(killed)}, so its death can't be shown"
            raise UsageError(what, remedy="kill a service that another one, or the shoppers, call")
        return found

    def title(self, settings: msgspec.Struct) -> str:
        """`checkout is killed`."""
        assert isinstance(settings, Settings)
        return f"{settings.service} is killed"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """Beside the proxy, too, nobody answers."""
        return Effect("instance-down", settle_s=RESTART_S)

    def steps(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> tuple[Step, ...]:
        """One instance each, with where its start is written down (argv, environment, account)."""
        found = [topology.instance(target) for target in planned.targets]
        return tuple(Step(self.kind, i.name, {"address": i.address, "spec_file": i.spec_file}) for i in found)

    def apply(self, step: Step, world: World) -> None:
        """Kill its process group."""
        world.kill(step.target)

    def undo(self, step: Step, world: World) -> None:
        """Start it at its old address; one that runs is left alone."""
        world.start_again(step.target)


FAULT: FaultKind = Kill()
