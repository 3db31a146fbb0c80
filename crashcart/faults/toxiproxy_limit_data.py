"""A link that breaks off: each connection is closed when so many bytes of answers have come over it."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from crashcart.faults.links import LinkSettings, ToxicFault
from crashcart.model.design import Design, select_proxies
from crashcart.model.errors import UsageError
from crashcart.model.plan import Effect
from crashcart.ports import FaultKind

MOST_BYTES = {"postgres": 60_000, "valkey": 30_000}
"""Less than the whole answers that probes ask of them."""
MOST_BYTES_OF_OTHERS = 1_500
"""A service's page of metrics is longer than that."""


class Settings(LinkSettings, frozen=True, forbid_unknown_fields=True):
    """Counted on each connection from the moment that the fault begins."""

    bytes: int


class LimitData(ToxicFault):
    """`toxiproxy/limit-data: {link: checkout.inventory, bytes: 400}`."""

    kind: ClassVar[str] = "toxiproxy/limit-data"
    toxic: ClassVar[str] = "limit_data"
    summary: ClassVar[str] = "A link breaks off in the middle of answers, after so many bytes on a connection."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """The link's proxies. UsageError for more bytes than a probe's answer has."""
        assert isinstance(settings, Settings)
        found = select_proxies(design, settings.link)
        kind = design.services[found[0].dependency.partition("[")[0]].kind
        most = MOST_BYTES.get(kind, MOST_BYTES_OF_OTHERS)
        if not 1 <= settings.bytes <= most:
            what = f"{settings.bytes} bytes of answers of {settings.link} can't be cut off, or not shown"
            raise UsageError(what, remedy=f"1 to {most}; to cut before the first byte use toxiproxy/reset")
        return tuple(proxy.name for proxy in found)

    def title(self, settings: msgspec.Struct) -> str:
        """`checkout.inventory breaks off after 400 bytes`."""
        assert isinstance(settings, Settings)
        return f"{settings.link} breaks off after {settings.bytes} bytes"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """Some of an answer comes, no more than that, and not all."""
        assert isinstance(settings, Settings)
        return Effect("cut-short", whole_answers=True, at_most_bytes=settings.bytes)

    def attributes(self, settings: msgspec.Struct) -> dict[str, int]:
        """Bytes."""
        assert isinstance(settings, Settings)
        return {"bytes": settings.bytes}


FAULT: FaultKind = LimitData()
