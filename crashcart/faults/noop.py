"""Does nothing to a link, and must be shown to do nothing: the template for a fault kind."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from crashcart.faults.links import LinkFault, LinkSettings
from crashcart.model.fault import Step
from crashcart.model.plan import Effect
from crashcart.ports import FaultKind, World

NOISE_MS = 20.0
"""What a busy machine adds to one probe and not to its twin; more than that would be an effect."""


class Noop(LinkFault):
    """`noop: {link: checkout.inventory}`."""

    kind: ClassVar[str] = "noop"
    summary: ClassVar[str] = "Nothing is done to a link; the evidence must show that nothing changed."
    settings_type: ClassVar[type[msgspec.Struct]] = LinkSettings

    def title(self, settings: msgspec.Struct) -> str:
        """`nothing is done to checkout.inventory`."""
        assert isinstance(settings, LinkSettings)
        return f"nothing is done to {settings.link}"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """None, beyond noise."""
        return Effect("none", at_least_ms=NOISE_MS)

    def apply(self, step: Step, world: World) -> None:
        """Do it: it must have taken effect when this returns. `step` says all there is to know."""

    def undo(self, step: Step, world: World) -> None:
        """Take it back, from the step alone: also when it was never done, also twice."""


FAULT: FaultKind = Noop()
