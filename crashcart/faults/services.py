"""What faults on a service share: they act on its instances, one step each."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from crashcart.faults.base import BaseFault
from crashcart.model.design import Design, proxies, select_instances
from crashcart.model.errors import UsageError
from crashcart.model.fault import Step
from crashcart.model.plan import PlannedFault
from crashcart.model.topology import Topology


class ServiceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`checkout` means all its replicas, `checkout[1]` one."""

    service: str


class ServiceFault(BaseFault):
    """Base of faults on a service. What is left to say: a title, the effect, `apply` and `undo`."""

    kind: ClassVar[str]

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """Its instances. UsageError where there is no such service."""
        assert isinstance(settings, ServiceSettings)
        return select_instances(design, settings.service)

    def links(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """Those that lead to them."""
        meant = self.targets(settings, design)
        return tuple(dict.fromkeys(proxy.link for proxy in proxies(design) if proxy.dependency in meant))

    def steps(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> tuple[Step, ...]:
        """One an instance, with where its start is written down (argv, environment, account)."""
        found = [topology.instance(target) for target in planned.targets]
        return tuple(Step(self.kind, i.name, {"address": i.address, "spec_file": i.spec_file}) for i in found)


class ServiceGone(ServiceFault):
    """Base of faults that make a service answer nobody: the probes of what leads to it show it."""

    def watched(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """The proxies that lead to its instances. UsageError where nothing does: it could not be shown."""
        gone = self.targets(settings, design)
        found = tuple(proxy.name for proxy in proxies(design) if proxy.dependency in gone)
        if not found:
            what = f"no link leads to {', '.join(gone)}, so its absence can't be shown"
            raise UsageError(what, remedy="choose a service that another one, or the shoppers, call")
        return found
