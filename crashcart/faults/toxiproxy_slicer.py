"""A link on which answers come in small pieces, with a pause after each."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from crashcart.faults.links import LinkSettings, ToxicFault
from crashcart.model.design import Design
from crashcart.model.errors import UsageError
from crashcart.model.plan import Effect
from crashcart.model.units import Duration
from crashcart.ports import FaultKind

MOST_BYTES = 1_024
"""Larger pieces are no pieces of what services answer."""
LEAST_DELAY_S, MOST_DELAY_S = 0.002, 1.0
ABOVE = 1.4
"""So much over a whole piece a pause may be measured: nobody waits for the pause after the last piece."""


class Settings(LinkSettings, frozen=True, forbid_unknown_fields=True):
    """Pieces of at most `size` + `variation` bytes, `delay` between them: halves of halves, until they are so small."""

    size: int
    delay: Duration
    variation: int = 0


class Slicer(ToxicFault):
    """`toxiproxy/slicer: {link: storefront.inventory, size: 256, variation: 64, delay: 10ms}`."""

    kind: ClassVar[str] = "toxiproxy/slicer"
    toxic: ClassVar[str] = "slicer"
    summary: ClassVar[str] = "A link answers in small pieces, with a pause after each."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """The link's proxies. UsageError for pieces that can't be done or shown (some would crash Toxiproxy)."""
        assert isinstance(settings, Settings)
        if not (0 <= settings.variation < settings.size and settings.size + settings.variation <= MOST_BYTES):
            what = f"pieces of {settings.size} ± {settings.variation} bytes can't be"
            raise UsageError(what, remedy=f"variation less than size, both together at most {MOST_BYTES}")
        if not LEAST_DELAY_S <= settings.delay <= MOST_DELAY_S:
            what = f"a delay of {settings.delay!r} between pieces can't be done, or not shown"
            raise UsageError(what, remedy="2ms to 1s")
        return super().targets(settings, design)

    def title(self, settings: msgspec.Struct) -> str:
        """`storefront.inventory answers in pieces of 256 ± 64 bytes, 10ms apart`."""
        assert isinstance(settings, Settings)
        variation = f" ± {settings.variation}" if settings.variation else ""
        return f"{settings.link} answers in pieces of {settings.size}{variation} bytes, {settings.delay!r} apart"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """Whole answers come no faster than a largest piece a pause."""
        assert isinstance(settings, Settings)
        fastest_kb_s = (settings.size + settings.variation) / (settings.delay * 1000)
        return Effect("throughput", at_most_kb_s=round(ABOVE * fastest_kb_s, 3), whole_answers=True)

    def attributes(self, settings: msgspec.Struct) -> dict[str, int]:
        """Bytes, bytes, microseconds."""
        assert isinstance(settings, Settings)
        return {
            "average_size": settings.size,
            "size_variation": settings.variation,
            "delay": round(settings.delay * 1_000_000),
        }


FAULT: FaultKind = Slicer()
