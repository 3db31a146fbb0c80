"""`loadtests/load.yaml`: how the project's load is started and which cohorts it declares."""

from __future__ import annotations

from typing import Any

import msgspec


class LoadProgram(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"api_version": "apiVersion"}):
    """The load's command and the declared shares. `mix` is the load's own business."""

    api_version: str
    kind: str
    command: tuple[str, ...]
    purchase_share: float
    """Sessions that set out to buy, over all sessions."""
    cohorts: dict[str, dict[str, float]]
    """Dimension → value → share of shoppers; each dimension sums to 1."""
    entry: str = ""
    """The service it calls, where that is not the design's own entry."""
    events_per_session: dict[str, float] = {}
    """`sli` label → events an average session makes (browse 2.1, purchase 0.3): what `plan` expects to see of each."""
    mix: dict[str, Any] = {}
    patience_s: float = 15.0
    """How long the slowest shopper may still be busy after the last arrival."""
