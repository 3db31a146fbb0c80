"""A link whose connections are reset: the client reads "connection reset by peer" where it waits for an answer."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from crashcart.faults.links import DirectedSettings, ToxicFault
from crashcart.model.design import Design
from crashcart.model.errors import UsageError
from crashcart.model.fault import Step
from crashcart.model.plan import Effect
from crashcart.model.units import Duration, no_time
from crashcart.ports import FaultKind, World
from crashcart.toxiproxy import Toxiproxy

MOST_S = 1.0
"""For so long Toxiproxy may block when it is to take the toxic off: longer, and its control plane seems to hang."""


class Settings(DirectedSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Reset `after` the first bytes; downstream those are the answer's, when the work is done already."""

    after: Duration = msgspec.field(default_factory=no_time)


class Reset(ToxicFault):
    """`toxiproxy/reset: {link: payments.psp-a, after: 100ms}`."""

    kind: ClassVar[str] = "toxiproxy/reset"
    toxic: ClassVar[str] = "reset_peer"
    summary: ClassVar[str] = "A link's connections are reset, those that are open at once."
    settings_type: ClassVar[type[msgspec.Struct]] = Settings

    def targets(self, settings: msgspec.Struct, design: Design) -> tuple[str, ...]:
        """The link's proxies. UsageError for a wait that could not be undone in time."""
        assert isinstance(settings, Settings)
        if not 0 <= settings.after <= MOST_S:
            raise UsageError(f"a reset after {settings.after!r} can't be", remedy="0s to 1s")
        return super().targets(settings, design)

    def title(self, settings: msgspec.Struct) -> str:
        """`payments.psp-a resets its connections after 100ms`."""
        assert isinstance(settings, Settings)
        return f"{settings.link} resets its connections" + (f" after {settings.after!r}" if settings.after else "")

    def effect(self, settings: msgspec.Struct) -> Effect:
        """Through the proxy nobody answers; beside it somebody does."""
        return Effect("unreachable")

    def attributes(self, settings: msgspec.Struct) -> dict[str, int]:
        """Milliseconds."""
        assert isinstance(settings, Settings)
        return {"timeout": round(settings.after * 1000)}

    def apply(self, step: Step, world: World) -> None:
        """Add the toxic, then cut what is open: the toxic resets connections alone that are made after it."""
        super().apply(step, world)
        toxiproxy = Toxiproxy(step.data["api"])
        toxiproxy.set_enabled(step.target, False)
        toxiproxy.set_enabled(step.target, True)

    def undo(self, step: Step, world: World) -> None:
        """Remove it; and listen, should we have been stopped in the middle of `apply`."""
        super().undo(step, world)
        Toxiproxy(step.data["api"]).set_enabled(step.target, True)


FAULT: FaultKind = Reset()
