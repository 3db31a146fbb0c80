"""What faults on a link share: they act on its proxies, which the probes watch, and need Toxiproxy's address alone."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from crashcart.faults.base import BaseFault
from crashcart.model.design import Design, select_proxies
from crashcart.model.fault import Step
from crashcart.model.plan import PlannedFault
from crashcart.model.topology import Topology
from crashcart.ports import World
from crashcart.toxiproxy import ToxicSpec, Toxiproxy

Direction = Literal["downstream", "upstream"]


class LinkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`checkout.inventory` is all its proxies, `checkout[1].inventory[*]` some."""

    link: str


class DirectedSettings(LinkSettings, frozen=True, forbid_unknown_fields=True):
    """Downstream is from the dependency to its client: the answers. Upstream are the questions."""

    direction: Direction = "downstream"


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


class ToxicFault(LinkFault):
    """Base of faults that are one toxic a proxy. What is left to say: a title, the effect, and its attributes."""

    toxic: ClassVar[str]
    """Its type in Toxiproxy: `latency`."""

    def attributes(self, settings: msgspec.Struct) -> dict[str, int]:
        """Of the toxic, in Toxiproxy's own units."""
        raise NotImplementedError

    def steps(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> tuple[Step, ...]:
        """One toxic a proxy, named after the fault: two faults on a link do not take each other's off."""
        data = {
            "api": topology.toxiproxy_api,
            "toxic": toxic_name(planned),
            "stream": settings.direction if isinstance(settings, DirectedSettings) else "downstream",
            "attributes": self.attributes(settings),
        }
        return tuple(Step(self.kind, target, data) for target in planned.targets)

    def apply(self, step: Step, world: World) -> None:
        """Add the toxic; connections that are open feel it too."""
        toxic = ToxicSpec(step.data["toxic"], self.toxic, step.data["stream"], 1.0, step.data["attributes"])
        Toxiproxy(step.data["api"]).add_toxic(step.target, toxic)

    def undo(self, step: Step, world: World) -> None:
        """Remove it; one that is not there is fine."""
        Toxiproxy(step.data["api"]).remove_toxic(step.target, step.data["toxic"])


def toxic_name(planned: PlannedFault) -> str:
    """`crashcart-f1`."""
    return f"crashcart-{planned.id}"
