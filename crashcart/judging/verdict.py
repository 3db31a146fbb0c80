"""The verdict: one word for the run, one sentence for who reads nothing else, and where to look first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from crashcart.judging.deaths import is_of_shop, own_deaths, part_of, was_removed
from crashcart.judging.numbers import percent
from crashcart.judging.tape import Tape
from crashcart.judging.validity import not_undone
from crashcart.model.errors import ExitStatus
from crashcart.model.units import format_duration
from crashcart.model.verdict import (
    InvariantResult,
    ObjectiveResult,
    Outcome,
    RecoveryResult,
    ValidityCheck,
)


class Findings(msgspec.Struct, frozen=True):
    """Everything that was judged on its own."""

    validity: tuple[ValidityCheck, ...]
    objectives: tuple[ObjectiveResult, ...]
    recovery: RecoveryResult | None
    invariants: tuple[InvariantResult, ...]

    @property
    def valid(self) -> bool:
        """Whether the run counts."""
        return all(check.ok for check in self.validity)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Of every expectation."""
        recovery = () if self.recovery is None else (self.recovery.outcome,)
        objectives = (one.outcome for one in self.objectives)
        return (*objectives, *(one.outcome for one in self.invariants), *recovery)


def discounted(findings: Findings) -> Findings:
    """What was seen of objectives and recovery in a run that does not count says nothing. Broken books stay broken."""
    broken = next((check for check in findings.validity if not check.ok), None)
    if broken is None:
        return findings
    why = f"the run does not count ({broken.name})"
    objectives = tuple(
        msgspec.structs.replace(one, outcome=Outcome.INCONCLUSIVE, reason=f"{why}; seen: {one.reason}")
        for one in findings.objectives
    )
    recovery = findings.recovery
    if recovery is not None:
        recovery = msgspec.structs.replace(
            recovery, outcome=Outcome.INCONCLUSIVE, reason=f"{why}; seen: {recovery.reason}"
        )
    return msgspec.structs.replace(findings, objectives=objectives, recovery=recovery)


def outcome_of(findings: Findings) -> Outcome:
    """One word. Nothing that was expected, or nothing that could be judged, is never a pass."""
    outcomes = findings.outcomes
    if Outcome.FAIL in outcomes:
        return Outcome.FAIL
    if not findings.valid or not outcomes or Outcome.INCONCLUSIVE in outcomes:
        return Outcome.INCONCLUSIVE
    return Outcome.PASS


def exit_status(tape: Tape, outcome: Outcome) -> ExitStatus:
    """Of several, 5 > 70 > 4 > 1 > 130 > 3 > 0."""
    if not_undone(tape):
        return ExitStatus.NOT_UNDONE
    if tape.first("error") is not None:
        return ExitStatus.OURS
    if tape.ended == "guardrail":
        return ExitStatus.GUARDRAIL
    if outcome is Outcome.FAIL:
        return ExitStatus.FAIL
    if tape.ended == "interrupted":
        return ExitStatus.INTERRUPTED
    return ExitStatus.PASS if outcome is Outcome.PASS else ExitStatus.INCONCLUSIVE


def reasons(findings: Findings) -> tuple[str, ...]:
    """The most important first: broken books, missed objectives, no recovery, why the run does not count, the rest."""
    recovery = findings.recovery
    failed = [f"{one.title}: {one.reason}" for one in findings.invariants if one.outcome is Outcome.FAIL]
    failed += _by_slo(findings.objectives, Outcome.FAIL)
    if recovery is not None and recovery.outcome is Outcome.FAIL:
        failed.append(f"recovery: {recovery.reason}")
    invalid = [f"the run does not count: {check.detail}" for check in findings.validity if not check.ok]
    open_ = list(_by_slo(findings.objectives, Outcome.INCONCLUSIVE)) if findings.valid else []
    if findings.valid and recovery is not None and recovery.outcome is Outcome.INCONCLUSIVE:
        open_.append(f"recovery: {recovery.reason}")
    open_ += _doubted(findings.invariants)
    nothing = [] if findings.outcomes else ["nothing was expected of this run"]
    return (*failed, *invalid, *open_, *nothing)


def _doubted(invariants: Sequence[InvariantResult]) -> Iterator[str]:
    """One line for each reason: where the books were not read, no invariant could be asked."""
    by_reason: dict[str, list[InvariantResult]] = {}
    for one in invariants:
        if one.outcome is Outcome.INCONCLUSIVE:
            by_reason.setdefault(one.reason, []).append(one)
    for reason, doubted in by_reason.items():
        more = f" (and {len(doubted) - 1} more)" if len(doubted) > 1 else ""
        yield f"{doubted[0].title}{more}: {reason}"


def _by_slo(objectives: Sequence[ObjectiveResult], outcome: Outcome) -> Iterator[str]:
    """One line for each SLO and phase: all shoppers first, then the cohort that it is worst for."""
    families: dict[tuple[str, str], list[ObjectiveResult]] = {}
    for one in objectives:
        if one.outcome is outcome:
            families.setdefault((one.phase, one.slo), []).append(one)
    for (phase, slo), family in families.items():
        first = next((one for one in family if one.cohort == "all"), None)
        worst = min(family, key=_margin)
        shown = first or worst
        who = "" if shown.cohort == "all" else f" of {shown.cohort}"
        line = f"{slo}{who} in {phase}: {shown.reason}"
        if first is not None and worst is not first and worst.observed is not None:
            line += f"; worst for {worst.cohort}, {percent(worst.observed)} of {worst.valid}"
        elif len(family) > 1:
            line += f"; {len(family) - 1} more cohorts"
        yield line


def _margin(one: ObjectiveResult) -> tuple[float, str]:
    return (one.margin if one.margin is not None else 1.0, one.cohort)


def headline(tape: Tape, findings: Findings, outcome: Outcome, lost: int) -> str:
    """One sentence that someone on call believes. `lost`: purchases that did not come to be."""
    why = reasons(findings)
    if outcome is not Outcome.PASS:
        word = "Fail" if outcome is Outcome.FAIL else "Inconclusive"
        first = why[0] if why else "nothing could be judged"
        more = f" (and {len(why) - 1} more)" if len(why) > 1 else ""
        return f"{word}: {first}{more}."
    return f"Pass: {_what_was_done(tape)}{_what_held(findings, lost)}{_who_died(tape)}."


def _who_died(tape: Tape) -> str:
    """A shop that passes although a part of it fell over deserves a look."""
    died = [f"{part} died by itself at {at_s:.0f} s" for part, at_s in own_deaths(tape)]
    more = f" (and {len(died) - 1} more)" if len(died) > 1 else ""
    return f", although {died[0]}{more}" if died else ""


def _what_was_done(tape: Tape) -> str:
    faults = tape.plan.faults
    if not faults:
        return "under the planned load "
    span = max(fault.end_s for fault in faults) - min(fault.start_s for fault in faults)
    more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
    return f"while {faults[0].title}{more} for {format_duration(span)}, "


def _what_held(findings: Findings, lost: int) -> str:
    parts = []
    objectives = [one for one in findings.objectives if one.observed is not None]
    phases = [one.phase for one in objectives]
    if objectives:
        phase = "fault" if "fault" in phases else phases[-1]
        parts.append(f"every objective held{_closest([one for one in objectives if one.phase == phase])}")
    if lost:
        parts.append("one purchase was lost" if lost == 1 else f"{lost} purchases were lost")
    if findings.recovery is not None and findings.recovery.recovered_after_s is not None:
        after_s = findings.recovery.recovered_after_s
        parts.append(
            "the shop was well as soon as it ended" if not after_s else f"the shop was well again {after_s:g} s later"
        )
    if findings.invariants:
        number = len(findings.invariants)
        parts.append(
            "the one invariant of the books holds" if number == 1 else f"all {number} invariants of the books hold"
        )
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0]


def _closest(objectives: Sequence[ObjectiveResult]) -> str:
    """The objective that spent most of its budget."""
    closest = max(objectives, key=lambda one: ((one.valid - one.good) / max(one.bad_allowed, 1e-9), one.id))
    if closest.good == closest.valid:
        return ""
    who = "" if closest.cohort == "all" else f" of {closest.cohort}"
    seen = f"{percent(closest.observed or 0.0)} of {closest.valid}"
    return f" (closest: {closest.slo}{who}, {seen}, objective {percent(closest.objective)})"


def look_at(tape: Tape, findings: Findings) -> tuple[str, ...]:
    """What to open first."""
    return tuple(dict.fromkeys(_look_at(tape, findings)))


def _look_at(tape: Tape, findings: Findings) -> Iterator[str]:
    by_itself = own_deaths(tape)
    for part, at_s in by_itself:
        yield f"{part} of the shop died by itself at {at_s:.0f} s: logs/{part}.log"
    for broken in findings.invariants:
        if broken.outcome is Outcome.FAIL and broken.witnesses:
            row = broken.witnesses[0].row
            known = row.get("reference") or next((value for value in row.values() if value is not None), "?")
            yield f"{broken.name}: begin with {known} and look for it in logs/"
    missed = [one for one in findings.objectives if one.observed is not None and (one.margin or 0.0) < 0]
    for one in sorted(missed, key=_margin)[:3]:
        yield f"{one.slo} of {one.cohort} in {one.phase}: {percent(one.observed or 0.0)} of {one.valid}"
    for check in findings.validity:
        if not check.ok and check.remedy:
            yield f"{check.name}: {check.remedy}"
    for event in tape.named("died"):
        part = part_of(event)
        where = "the shop" if is_of_shop(event) else "the harness"
        if (part, event.t) not in by_itself and not was_removed(event):
            yield f"{part} of {where} died at {event.t:.0f} s: logs/{part}.log"
