"""What most fault kinds have in common."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from crashcart.model.design import Design, proxies
from crashcart.model.plan import PlannedFault, Slices
from crashcart.model.topology import Topology
from crashcart.ports import Observer


class BaseFault:
    """A fault that acts all the time, is shown by probes, and must meet calls on the links that it is watched on."""

    least_s: ClassVar[float] = 2.0
    """Shorter than this, probes four times a second can't show that it acted."""

    def watched(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """None."""
        return ()

    def links(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """Those of the watched proxies."""
        links = {proxy.name: proxy.link for proxy in proxies(design)}
        return tuple(dict.fromkeys(links[name] for name in self.watched(settings, design)))

    def slices(self, settings: msgspec.Struct, fault_id: str, seed: int, lasts_s: float) -> Slices:
        """It acts all the time."""
        return ()

    def observer(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> Observer | None:
        """Probes show it."""
        return None
