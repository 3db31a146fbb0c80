"""A link that swallows: connections are made, and nothing comes through."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from crashcart.faults.links import DirectedSettings, ToxicFault
from crashcart.model.design import Design
from crashcart.model.errors import UsageError
from crashcart.model.plan import Effect
from crashcart.model.units import Duration, no_time
from crashcart.ports import FaultKind

LEAST_S, MOST_S = 0.001, 60.0


class Settings(DirectedSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A connection over which nothing came for `timeout` is closed; 0s: never, so that its client must give up.

    Downstream the dependency does its work, and the answer is lost; upstream it is never asked.
    """

    timeout: Duration = msgspec.field(default_factory=no_time)


class Timeout(ToxicFault):
    """`toxiproxy/timeout: {link: payments.psp-a, timeout: 0s, direction: downstream}`."""

    kind: ClassVar[str] = "toxiproxy/timeout"
    toxic: ClassVar[str] = "timeout"
    summary: ClassVar[str] = "A link swallows what is sent, as behind a firewall that drops packets."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """The link's proxies. UsageError for a time-out that can't be."""
        assert isinstance(settings, Settings)
        if settings.timeout and not LEAST_S <= settings.timeout <= MOST_S:
            raise UsageError(f"a timeout of {settings.timeout!r} can't be", remedy="1ms to 60s, or 0s for never")
        return super().targets(settings, design)

    def title(self, settings: msgspec.Struct) -> str:
        """`payments.psp-a answers nothing`."""
        assert isinstance(settings, Settings)
        what = "answers nothing" if settings.direction == "downstream" else "is told nothing"
        return f"{settings.link} {what}" + (f" and closes after {settings.timeout!r}" if settings.timeout else "")

    def effect(self, settings: msgspec.Struct) -> Effect:
        """Through the proxy nobody answers; beside it somebody does."""
        return Effect("unreachable")

    def attributes(self, settings: msgspec.Struct) -> dict[str, int]:
        """Milliseconds."""
        assert isinstance(settings, Settings)
        return {"timeout": round(settings.timeout * 1000)}


FAULT: FaultKind = Timeout()
