"""A slow link: every chunk of data is delayed."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from crashcart.faults.links import LinkFault, LinkSettings
from crashcart.model.design import Design
from crashcart.model.errors import UsageError
from crashcart.model.fault import Step
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.topology import Topology
from crashcart.model.units import Duration, no_time
from crashcart.ports import FaultKind, World
from crashcart.toxiproxy import ToxicSpec, Toxiproxy

LEAST_S, MOST_S = 0.005, 60.0
MEASURABLE_MS = 1_900.0
"""A probe gives up after 2 s: of a longer delay no more than this can be shown."""


class Settings(LinkSettings, frozen=True, forbid_unknown_fields=True):
    """Each chunk waits `latency` ± `jitter`; downstream is from the dependency to its client."""

    latency: Duration
    jitter: Duration = msgspec.field(default_factory=no_time)
    direction: Literal["downstream", "upstream"] = "downstream"


class Latency(LinkFault):
    """`toxiproxy/latency: {link: checkout.inventory, latency: 300ms, jitter: 20ms}`."""

    kind: ClassVar[str] = "toxiproxy/latency"
    summary: ClassVar[str] = "A link answers late."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """The link's proxies. UsageError for a delay that can't be done or shown."""
        assert isinstance(settings, Settings)
        if not 0 < settings.latency <= MOST_S:
            raise UsageError(f"a latency of {settings.latency!r} can't be", remedy="more than 0, at most 60s")
        if settings.latency - settings.jitter < LEAST_S:
            what = f"a latency of {settings.latency!r} ± {settings.jitter!r} can't be told from none"
            raise UsageError(what, remedy="latency − jitter must be at least 5ms")
        return super().targets(settings, design)

    def title(self, settings: msgspec.Struct) -> str:
        """`checkout.inventory answers 300ms ± 20ms late`."""
        assert isinstance(settings, Settings)
        jitter = f" ± {settings.jitter!r}" if settings.jitter else ""
        verb = "answers" if settings.direction == "downstream" else "is asked"
        return f"{settings.link} {verb} {settings.latency!r}{jitter} late"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """Nine tenths of the least delay: on a busy machine the twin probe beside the proxy has its own delays."""
        assert isinstance(settings, Settings)
        least_ms = (settings.latency - settings.jitter) * 1000
        return Effect("added-latency", at_least_ms=round(min(0.9 * least_ms, MEASURABLE_MS), 3))

    def steps(self, settings: msgspec.Struct, planned: PlannedFault, topology: Topology) -> tuple[Step, ...]:
        """One toxic a proxy."""
        assert isinstance(settings, Settings)
        attributes = {"latency": round(settings.latency * 1000), "jitter": round(settings.jitter * 1000)}
        toxic = {"toxic": f"crashcart-{planned.id}", "stream": settings.direction, "attributes": attributes}
        return tuple(Step(self.kind, target, {"api": topology.toxiproxy_api, **toxic}) for target in planned.targets)

    def apply(self, step: Step, world: World) -> None:
        """Add the toxic; connections that are open feel it too."""
        toxic = ToxicSpec(step.data["toxic"], "latency", step.data["stream"], 1.0, step.data["attributes"])
        Toxiproxy(step.data["api"]).add_toxic(step.target, toxic)

    def undo(self, step: Step, world: World) -> None:
        """Remove it; one that is not there is fine."""
        Toxiproxy(step.data["api"]).remove_toxic(step.target, step.data["toxic"])


FAULT: FaultKind = Latency()
