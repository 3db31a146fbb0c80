"""A slow link: every chunk of data is delayed."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from crashcart.faults.links import DirectedSettings, ToxicFault
from crashcart.model.design import Design
from crashcart.model.errors import UsageError
from crashcart.model.plan import Effect
from crashcart.model.units import Duration, no_time
from crashcart.ports import FaultKind

LEAST_S, MOST_S = 0.005, 60.0
MEASURABLE_MS = 1_900.0
"""A probe gives up after 2 s: of a longer delay no more than this can be shown."""


class Settings(DirectedSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Each chunk waits `latency` ± `jitter`; downstream is from the dependency to its client."""

    latency: Duration
    jitter: Duration = msgspec.field(default_factory=no_time)


class Latency(ToxicFault):
    """`toxiproxy/latency: {link: checkout.inventory, latency: 300ms, jitter: 20ms}`."""

    kind: ClassVar[str] = "toxiproxy/latency"
    toxic: ClassVar[str] = "latency"
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
        """Nine tenths of the least delay: on a busy machine the twin probe beside the proxy has its own delays.

        Half as strong, a wide jitter would still reach that. Of delays spread evenly around the declared one, at least
        half are longer than the longest of those would be.
        """
        assert isinstance(settings, Settings)
        least_ms = (settings.latency - settings.jitter) * 1000
        halved_ms = (settings.latency + settings.jitter) * 500 if settings.jitter else 0.0
        return Effect(
            "added-latency",
            at_least_ms=round(min(0.9 * least_ms, MEASURABLE_MS), 3),
            typical_ms=round(min(halved_ms, MEASURABLE_MS), 3),
        )

    def attributes(self, settings: msgspec.Struct) -> dict[str, int]:
        """Milliseconds."""
        assert isinstance(settings, Settings)
        return {"latency": round(settings.latency * 1000), "jitter": round(settings.jitter * 1000)}


FAULT: FaultKind = Latency()
