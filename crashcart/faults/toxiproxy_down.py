"""A dependency that is gone: nothing listens, and what was connected is cut."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from crashcart.faults.links import LinkFault, LinkSettings
from crashcart.model.fault import Step
from crashcart.model.plan import Effect
from crashcart.ports import FaultKind, World
from crashcart.toxiproxy import Toxiproxy


class Down(LinkFault):
    """`toxiproxy/down: {link: payments.psp-a}`."""

    kind: ClassVar[str] = "toxiproxy/down"
    summary: ClassVar[str] = "A link is down: its connections are cut, new ones are refused."
    settings_type: ClassVar[type[msgspec.Struct]] = LinkSettings

    def title(self, settings: msgspec.Struct) -> str:
        """`payments.psp-a is down`."""
        assert isinstance(settings, LinkSettings)
        return f"{settings.link} is down"

    def effect(self, settings: msgspec.Struct) -> Effect:
        """Through the proxy nobody answers; beside it somebody does."""
        return Effect("unreachable")

    def apply(self, step: Step, world: World) -> None:
        """Disable the proxy."""
        Toxiproxy(step.data["api"]).set_enabled(step.target, False)

    def undo(self, step: Step, world: World) -> None:
        """Enable it; one that is enabled stays so."""
        Toxiproxy(step.data["api"]).set_enabled(step.target, True)


FAULT: FaultKind = Down()
