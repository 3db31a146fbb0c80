"""Whether the machine had time for the run: what is missed while others fill it up is not the shop's failing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from crashcart.judging.numbers import percent
from crashcart.judging.tape import Tape
from crashcart.model.plan import Phase
from crashcart.model.recording import Event
from crashcart.model.verdict import ObjectiveResult, Outcome, RecoveryResult, ValidityCheck

FULL = 0.95
"""Of all its cores' time: from there on whoever wants more waits."""
OTHERS = 0.10
"""Of the same, used by nobody of the run. An idle machine's own housekeeping takes 2 to 8 %."""
CROWDED_SHARE = 0.1
"""Of a phase. Who is held up for less than this is late for less than objectives are made for."""


@dataclass(frozen=True, slots=True)
class Span:
    """Between two looks at the machine; shares of all its cores' time."""

    start_s: float
    end_s: float
    busy: float
    others: float

    @property
    def crowded(self) -> bool:
        """Full, and with others."""
        return self.busy >= FULL and self.others >= OTHERS

    def within(self, phase: Phase) -> float:
        """Seconds of it that lie in a phase."""
        return max(0.0, min(self.end_s, phase.end_s) - max(self.start_s, phase.start_s))


def free_for_the_run(
    tape: Tape, objectives: Sequence[ObjectiveResult], recovery: RecoveryResult | None
) -> ValidityCheck:
    """Nothing was missed in a phase in which the machine was full, and others used a part of it.

    What was met all the same counts: others make nothing faster. And where the run alone fills the machine, what is
    missed is missed. So it is where something was missed in another phase as well, in which there was time for all:
    that more goes wrong makes no run better.
    """
    title = "no others took the machine's time where something was missed"
    missed = {one.phase for one in objectives if one.outcome is Outcome.FAIL}
    if recovery is not None and recovery.outcome is Outcome.FAIL:
        missed.add("recovery")
    spans = tuple(_spans(tape.named("machine")))
    crowds = {phase.name: _crowd(phase, spans) for phase in tape.reached if phase.name in missed}
    troubles = "; ".join(told for told in crowds.values() if told)
    at_leisure = [name for name, told in crowds.items() if not told]
    if troubles and not at_leisure:
        return ValidityCheck("machine", title, False, troubles)
    if troubles:
        troubles += f"; yet it was not in {' and '.join(at_leisure)}, where something was missed as well"
        return ValidityCheck("machine", title, True, troubles)
    if not spans:
        return ValidityCheck("machine", title, True, "how busy it was meanwhile was not noted")
    return ValidityCheck("machine", title, True, _busiest(tape.reached, spans))


def others_took(tape: Tape) -> str:
    """What others used of the machine while all phases that were reached went on; empty where that was little."""
    spans = tuple(_spans(tape.named("machine")))
    weights = [(span.within(phase), span.others) for phase in tape.reached for span in spans]
    total_s = sum(weight for weight, _ in weights)
    share = sum(weight * others for weight, others in weights) / total_s if total_s > 0 else 0.0
    return f"others used {percent(share)} of the machine meanwhile" if share >= OTHERS else ""


def span_between(before: Event, after: Event, ours_s: float) -> Span | None:
    """How the machine's time was used between two events that note its `busy_s`; None where no time went by."""
    machine_s = (after.t - before.t) * float(after.data["cores"])
    if machine_s <= 0:
        return None
    busy_s = float(after.data["busy_s"]) - float(before.data["busy_s"])
    return Span(before.t, after.t, min(1.0, busy_s / machine_s), min(1.0, max(0.0, (busy_s - ours_s) / machine_s)))


def _spans(looks: Sequence[Event]) -> Iterator[Span]:
    for before, after in pairwise(looks):
        span = span_between(before, after, float(after.data["own_s"]) - float(before.data["own_s"]))
        if span is not None:
            yield span


def _crowd(phase: Phase, spans: Sequence[Span]) -> str:
    """How crowded it was; empty where it was not, or not for long."""
    crowded = [span for span in spans if span.crowded and span.within(phase) > 0]
    for_s = sum(span.within(phase) for span in crowded)
    if for_s < CROWDED_SHARE * (phase.end_s - phase.start_s):
        return ""
    others = sum(span.others * span.within(phase) for span in crowded) / for_s
    full = f"the machine was full for {for_s:.0f} s, {percent(others)} of it with other work"
    return f"something was missed in {phase.name}, where {full}"


def _busiest(phases: Sequence[Phase], spans: Sequence[Span]) -> str:
    shares = [(share, phase.name) for phase in phases if (share := _busy(phase, spans)) is not None]
    return "the machine was {:.0%} busy in {}, at most".format(*max(shares)) if shares else "it was not looked at"


def _busy(phase: Phase, spans: Sequence[Span]) -> float | None:
    weights = [(span.within(phase), span.busy) for span in spans]
    total_s = sum(weight for weight, _ in weights)
    return sum(weight * busy for weight, busy in weights) / total_s if total_s > 0 else None
