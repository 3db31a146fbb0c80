"""What faults on a link share: they act on its proxies, which the probes watch, and need Toxiproxy's address alone."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from crashcart.faults.base import BaseFault
from crashcart.model.design import Design, select_proxies
from crashcart.model.fault import Step
from crashcart.model.plan import PlannedFault
from crashcart.model.topology import Topology


class LinkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`checkout.inventory` is all its proxies, `checkout[1].inventory[*]` some."""

    link: str


class LinkFault(BaseFault):
    """Base of faults on a link. What is left to say: a title, the effect, `apply` and `undo`."""

    kind: ClassVar[str]

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """The link's proxies. UsageError where there is no such link."""
        assert isinstance(settings, LinkSettings)
        return tuple(proxy.name for proxy in select_proxies(design, settings.link))

    def watched(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """The same ones."""
        return self.targets(settings, design)

    def steps(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> tuple[Step, ...]:
        """One a proxy."""
        return tuple(Step(self.kind, target, {"api": topology.toxiproxy_api}) for target in planned.targets)
