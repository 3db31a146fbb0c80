"""Everything that the parts of a timeline work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from crashcart.model.holding import Hold
from crashcart.model.plan import Plan
from crashcart.ports import (
    FaultInjector,
    HarnessState,
    LoadControl,
    Operator,
    RunRecorder,
    Stack,
    View,
    Watchdog,
)
from crashcart.running.clock import RunClock
from crashcart.running.interrupts import Interrupts
from crashcart.running.sli import Slis

HARNESS_PARTS = ("toxiproxy", "prometheus", "load")
"""Without one of these a run can't be judged, so there is no use in going on."""

Ended = Literal["completed", "gate-closed", "guardrail", "interrupted", "broken"]


@dataclass(slots=True)
class Crew:
    """Adapters and what is known of the run. `plan` changes where a phase is cut short."""

    plan: Plan
    clock: RunClock
    recorder: RunRecorder
    stack: Stack
    load: LoadControl
    injector: FaultInjector
    watchdog: Watchdog
    slis: Slis
    state: HarnessState
    view: View
    interrupts: Interrupts
    operator: Operator
    proxies_answer: Callable[[], object] = lambda: None
    """Asks Toxiproxy for a word; ControlPlaneError when there is none within two seconds."""
    hold: Hold | None = None

    def event(self, name: str, **data: object) -> None:
        """Into the recording, now."""
        self.recorder.event(name, self.clock.t(), **data)
