"""What was seen and counted of one fault, made up, for the judge of evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from crashcart.judging.counters import Counters, Series
from crashcart.judging.evidence import Window, judge_evidence
from crashcart.judging.looking import Glance, Probe, Samples
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.verdict import EvidenceResult
from tests.unit.judging.planned import PROXY

LINK = "checkout.payments"
BEGAN_S, ENDED_S, LAST_S = 25.0, 45.0, 70.0
GONE = Window(BEGAN_S, ENDED_S, ENDED_S)


def fault_of(effect: Effect, **changes: Any) -> PlannedFault:
    made = PlannedFault("f1", "a/kind", {}, "it is broken", (PROXY,), (PROXY,), (LINK,), BEGAN_S, ENDED_S, effect)
    return msgspec.structs.replace(made, **changes)


def counter(per_s: Callable[[int], float], **labels: str) -> Series:
    times, values, value = [-1.0], [0.0], 0.0
    for second in range(int(LAST_S)):
        value += per_s(second)
        times.append(second + 0.99)
        values.append(value)
    return Series("link_calls_total", {"link": LINK, **labels}, tuple(times), tuple(values))


MET = Counters([counter(lambda _: 10, outcome="ok")])


def judged(
    fault: PlannedFault, probes: Sequence[Probe] = (), glances: Sequence[Glance] = (), counters: Counters = MET
) -> EvidenceResult:
    return judge_evidence(fault, {"f1": GONE}, (fault,), Samples({PROXY: probes}, {"f1": glances}), counters)


def glances_of(there: Callable[[float], bool], value: Callable[[float], float | None] = lambda t: None) -> list[Glance]:
    return [Glance(n / 4, there(n / 4), 5.0, value(n / 4), "") for n in range(int(LAST_S * 4))]


def probes_of(of: Callable[[float], Probe], per_s: int = 4) -> list[Probe]:
    return [of(n / per_s) for n in range(int(LAST_S * per_s))]


def on(t: float) -> bool:
    return BEGAN_S <= t <= ENDED_S
