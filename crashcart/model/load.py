"""`loadtests/load.yaml`: how the project's load is started and which cohorts it declares."""

from __future__ import annotations

import msgspec


class LoadProgram(msgspec.Struct, frozen=True, rename={"api_version": "apiVersion"}):
    """The load's command and the declared shares. `mix` is the load's own business."""

    api_version: str
    kind: str
    command: tuple[str, ...]
    purchase_share: float
    """Sessions that set out to buy, over all sessions."""
    cohorts: dict[str, dict[str, float]]
    """Dimension → value → share of shoppers; each dimension sums to 1."""
    mix: dict[str, object] = {}
    patience_s: float = 15.0
    """How long the slowest shopper may still be busy after the last arrival."""
