"""A narrow link: what is sent comes through at a fixed rate."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from crashcart.faults.links import DirectedSettings, Direction, ToxicFault
from crashcart.model.design import Design
from crashcart.model.errors import UsageError
from crashcart.model.plan import Effect
from crashcart.ports import FaultKind
from crashcart.questions import LONG_BYTES

MOST_KB_S: dict[Direction, int] = {"downstream": 1_000, "upstream": 150}
"""More than this can't be told from no limit: the answers that probes wait for are short, and the questions shorter."""
ABOVE = 1.15
"""So much over the declared rate may be measured."""
MEASURABLE_MS = 1_900.0
"""A probe gives up after 2 s."""


class Settings(DirectedSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Kilobytes (1,000 bytes) a second, of each connection for itself; downstream is from the dependency."""

    rate_kb_s: int


class Bandwidth(ToxicFault):
    """`toxiproxy/bandwidth: {link: storefront.inventory, rate_kb_s: 32}`."""

    kind: ClassVar[str] = "toxiproxy/bandwidth"
    toxic: ClassVar[str] = "bandwidth"
    summary: ClassVar[str] = "A link is narrow: what is long takes long."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """The link's proxies. UsageError for a rate that can't be done or shown."""
        assert isinstance(settings, Settings)
        most = MOST_KB_S[settings.direction]
        if not 1 <= settings.rate_kb_s <= most:
            what = f"a rate of {settings.rate_kb_s} KB/s {settings.direction} can't be done, or not shown"
            raise UsageError(what, remedy=f"1 to {most}; to stop the traffic use toxiproxy/timeout")
        return super().targets(settings, design)

    def title(self, settings: msgspec.Struct) -> str:
        """`storefront.inventory answers at 32 KB/s`."""
        assert isinstance(settings, Settings)
        verb = "answers" if settings.direction == "downstream" else "is asked"
        return f"{settings.link} {verb} at {settings.rate_kb_s} KB/s"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """Whole answers come at that rate; whole questions, whose length is known, arrive so much later."""
        assert isinstance(settings, Settings)
        if settings.direction == "downstream":
            return Effect("throughput", at_most_kb_s=round(ABOVE * settings.rate_kb_s, 3), whole_answers=True)
        least_ms = LONG_BYTES / settings.rate_kb_s / ABOVE
        return Effect("added-latency", at_least_ms=round(min(least_ms, MEASURABLE_MS), 3), whole_answers=True)

    def attributes(self, settings: msgspec.Struct) -> dict[str, int]:
        """Kilobytes a second."""
        assert isinstance(settings, Settings)
        return {"rate": settings.rate_kb_s}


FAULT: FaultKind = Bandwidth()
