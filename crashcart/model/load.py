"""`loadtests/load.yaml`: how the project's load is started and which cohorts it declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is different on a day of its own, such as a flash deal. What is left out stays as declared."""

    title: str = ""
    purchase_share: float | None = None
    cohorts: dict[str, dict[str, float]] = {}
    """Dimension → value → share; the values are those declared, with other shares."""
    events_per_session: dict[str, float] = {}
    mix: dict[str, Any] = {}
    """Laid over the declared `mix`, key by key."""


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
    scenarios: dict[str, Scenario] = {}
    """By name; an experiment chooses one with `load.scenario`."""


def in_scenario(program: LoadProgram, name: str) -> LoadProgram:
    """The program as it is in one of its scenarios; itself where `name` is empty. KeyError where there is none."""
    if not name:
        return program
    scenario = program.scenarios[name]
    return msgspec.structs.replace(
        program,
        purchase_share=program.purchase_share if scenario.purchase_share is None else scenario.purchase_share,
        cohorts={**program.cohorts, **scenario.cohorts},
        events_per_session={**program.events_per_session, **scenario.events_per_session},
        mix=laid_over(program.mix, scenario.mix),
    )


def laid_over(declared: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`declared` with `changes`, key by key; lists and scalars are replaced as a whole."""
    merged = dict(declared)
    for name, change in changes.items():
        before = merged.get(name)
        merged[name] = laid_over(before, change) if isinstance(before, dict) and isinstance(change, dict) else change
    return merged
