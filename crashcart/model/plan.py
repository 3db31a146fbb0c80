"""What a run will do, to whom, for how long. Pure data: `plan.json` is enough to judge a recording a year later."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from crashcart.model.design import Design
from crashcart.model.load import LoadProgram
from crashcart.model.slo import Selector, Slo
from crashcart.model.truth import Truth

PLAN_FORMAT = "crashcart/plan/v1"


Slices = tuple[tuple[float, float], ...]
"""(from, to), in order, apart."""


class Phase(msgspec.Struct, frozen=True):
    """A part of the timeline; seconds from t0, which is the start of warm-up."""

    name: str
    start_s: float
    end_s: float
    expected_intents: float = 0.0
    """Purchase intents the schedule holds for this phase (its integral)."""
    expected_sessions: float = 0.0

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return self.end_s - self.start_s


class Counted(msgspec.Struct, frozen=True):
    """A share of what the clients themselves counted: those that `part` selects, of those that `whole` does."""

    part: Selector
    whole: Selector
    share_from: float
    share_to: float
    """While the fault is active the share is within these, and outside it under `share_from`."""
    share: float = 0.0
    """What was declared; half of it must be ruled out. 0: nobody says."""


class Effect(msgspec.Struct, frozen=True):
    """What must be measured while a fault is active, and must be absent outside it.

    - `added-latency`: a probe through the proxy takes at least `at_least_ms` longer than one beside it.
    - `unreachable`: the probe through the proxy fails while the one beside it succeeds.
    - `instance-down`: the probe beside the proxy fails (the instance itself is gone).
    - `throughput`: a whole answer through the proxy comes at `at_most_kb_s` or slower, beside it faster.
    - `cut-short`: an answer through the proxy ends before it is whole; beside it is whole.
    - `observed`: the kind's own observer sees it.
    - `counted`: the clients' counters say so (`counted`).
    - `none`: both probes succeed, without a difference over `at_least_ms` (a no-op must do nothing).
    """

    measure: Literal[
        "added-latency", "unreachable", "instance-down", "throughput", "cut-short", "observed", "counted", "none"
    ]
    at_least_ms: float = 0.0
    typical_ms: float = 0.0
    """Where single delays vary: half of those added, or more, are so long, but for chance. 0: nothing is asked."""
    settle_s: float = 0.0
    """How long after the undo the effect may still be seen (a restarted service needs time to boot)."""
    at_most_kb_s: float = 0.0
    """Kilobytes (1,000 bytes) a second."""
    at_most_bytes: int = 0
    """Of an answer that is cut short no more comes than that; 0: any part of it."""
    whole_answers: bool = False
    """Probes ask for something long, and wait for the end of the answer: what slows or cuts data must be seen so."""
    counted: Counted | None = None
    share: float = 0.0
    """Of what its observer counts so much shows it, as nearly as chance has it, and not half. 0: it counts nothing."""


class PlannedFault(msgspec.Struct, frozen=True):
    """One fault with its targets resolved."""

    id: str
    """`f1`, `f2`, … in the order of the file."""
    kind: str
    settings: dict[str, Any]
    title: str
    """One line for people: `payments.psp-a is down`."""
    targets: tuple[str, ...]
    """Proxies (`payments[0].psp-a[0]`) or instances (`checkout[0]`)."""
    watched: tuple[str, ...]
    """Proxies that the evidence probes look at, through and beside."""
    links: tuple[str, ...]
    """Links whose real calls must be seen during the fault."""
    start_s: float
    end_s: float
    effect: Effect
    min_calls: int = 10
    """Calls the clients must have tried on those links meanwhile, else the fault met no traffic."""
    named: str = ""
    """The project's own name for it (`provider/slow` of `stack/faults/`), where it has one."""
    seed: int = 0
    """The run's: a kind that draws a schedule draws it from this and the fault's id."""
    slices: Slices = ()
    """Seconds from `start_s` between which it acts, where it does not act all the time."""


class PlannedObjective(msgspec.Struct, frozen=True):
    """One cohort's objective in one phase."""

    id: str
    """`fault/purchase-success/network:amex`."""
    slo: str
    phase: str
    cohort: str
    objective: float
    min_events: int
    expected_events: float


class PlannedRecovery(msgspec.Struct, frozen=True):
    """From T to the end of the recovery phase, at least `hold_s`, all is well; T − `from_s` ≤ `within_s`."""

    within_s: float
    hold_s: float
    from_s: float
    """End of the last fault."""
    slos: tuple[str, ...]
    goodput_ratio: float = 0.95
    """Of the baseline's goodput over offered."""


class PlannedGuardrail(msgspec.Struct, frozen=True):
    """Abort when the SLI over the last `duration_s` is below the bound, or unreadable for 3 s."""

    slo: str
    below: float
    duration_s: float


class Plan(msgspec.Struct, frozen=True):
    """Everything there is to know before anything starts."""

    format: str
    name: str
    title: str
    hypothesis: str
    tags: tuple[str, ...]
    experiment_file: str
    """Relative to the project."""
    runtime: str
    design: Design
    profile: str
    peak_per_s: float
    seed: int
    load: LoadProgram
    phases: tuple[Phase, ...]
    faults: tuple[PlannedFault, ...]
    objectives: tuple[PlannedObjective, ...]
    recovery: PlannedRecovery | None
    guardrails: tuple[PlannedGuardrail, ...]
    slos: tuple[Slo, ...]
    truth: Truth
    crashcart_version: str
    overrides: tuple[str, ...] = ()
    """`load.seed=8`: values of the file that were changed for this run."""
    scenario: str = ""
    """Of the load; what it changes has been laid over `load` already."""

    @property
    def duration_s(self) -> float:
        """Seconds from t0 to the end of the last phase."""
        return self.phases[-1].end_s

    def phase(self, name: str) -> Phase:
        """The phase of that name; KeyError where the timeline has none."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        raise KeyError(name)

    def slo(self, name: str) -> Slo:
        """The SLO of that name; KeyError where there is none."""
        for slo in self.slos:
            if slo.name == name:
                return slo
        raise KeyError(name)
