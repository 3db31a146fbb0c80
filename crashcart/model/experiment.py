"""An experiment as its author wrote it (docs: "write an experiment")."""

from __future__ import annotations

from typing import Any

import msgspec

from crashcart.model.design import Metadata
from crashcart.model.units import Duration, no_time

PHASES = ("warmup", "baseline", "fault", "recovery")
"""In this order. Nothing is judged in warm-up."""


class LoadSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How hard the shop is driven."""

    profile: str
    peak_per_s: float
    """Purchase intents a second at the profile's peak."""
    seed: int = 1
    scenario: str = ""
    """One of `scenarios` in `loadtests/load.yaml`; empty: the usual mix of shoppers."""


class Timeline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long each phase takes. An experiment without faults may leave out `fault` and `recovery`."""

    warmup: Duration
    baseline: Duration
    fault: Duration = msgspec.field(default_factory=no_time)
    recovery: Duration = msgspec.field(default_factory=no_time)


class FaultSpec(msgspec.Struct, frozen=True):
    """One fault. In YAML its kind is a key: `- toxiproxy/down: {link: …}` with `at` and `for` beside it."""

    kind: str
    settings: dict[str, Any]
    at: Duration
    duration: Duration
    line: int
    """Where it stands in the file."""


class Objective(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An SLO expected to be met in a phase, with its own objective or a looser or stricter one."""

    slo: str
    objective: float | None = None
    """For all shoppers. Cohorts' own objectives that are stricter than it are brought down to it."""
    cohorts: dict[str, float | None] = {}
    """`network:amex` → objective, where a cohort differs from both; null: nothing is expected of it in this phase."""


class Recovery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sustained health by then, counted from the end of the last fault."""

    within: Duration
    of: tuple[str, ...]


class Always(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must hold of the books: `all`, or a list of names."""

    invariants: str | tuple[str, ...] = "all"


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the hypothesis says, so that it can be wrong."""

    baseline: tuple[Objective, ...] = ()
    fault: tuple[Objective, ...] = ()
    recovery: Recovery | None = None
    always: Always = Always()


class Guardrail(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"duration": "for"}):
    """A condition that aborts the run."""

    slo: str
    below: float
    duration: Duration


class Experiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"api_version": "apiVersion"}):
    """The whole file."""

    api_version: str
    kind: str
    metadata: Metadata
    hypothesis: str
    design: str
    load: LoadSpec
    timeline: Timeline
    expect: Expect
    faults: tuple[FaultSpec, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
