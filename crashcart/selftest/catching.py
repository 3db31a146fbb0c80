"""Which checks of a verdict are broken, by names: `invariant/…`, `slo/…/phase`, `recovery`, `validity/…`."""

from __future__ import annotations

from collections.abc import Iterator

from crashcart.model.verdict import Outcome, Verdict

_OF_THE_MACHINE = ("lateness", "load-delivered", "machine")
"""Validity checks that are broken where the machine was too busy, by the load itself or by others."""


def broken_checks(verdict: Verdict) -> tuple[str, ...]:
    """All that are, the books first. An SLO is named once for a phase, and with each cohort that failed."""
    return tuple(dict.fromkeys(_broken(verdict)))


def _broken(verdict: Verdict) -> Iterator[str]:
    for invariant in verdict.invariants:
        if invariant.outcome is Outcome.FAIL:
            yield f"invariant/{invariant.name}"
    for objective in verdict.objectives:
        if objective.outcome is Outcome.FAIL:
            yield f"slo/{objective.slo}/{objective.phase}"
    for objective in verdict.objectives:
        if objective.outcome is Outcome.FAIL and objective.cohort != "all":
            yield f"slo/{objective.slo}/{objective.phase}/{objective.cohort}"
    if verdict.recovery is not None and verdict.recovery.outcome is Outcome.FAIL:
        yield "recovery"
    for check in verdict.validity:
        if not check.ok:
            yield f"validity/{check.name}"


def why(verdict: Verdict, check: str) -> str:
    """What the verdict says of a check that is broken; empty where it is not."""
    kind, _, rest = check.partition("/")
    if kind == "recovery":
        return verdict.recovery.reason if verdict.recovery is not None else ""
    if kind == "invariant":
        return next((one.reason for one in verdict.invariants if one.name == rest), "")
    if kind == "validity":
        return next((one.detail for one in verdict.validity if one.name == rest and not one.ok), "")
    slo, phase, *cohort = rest.split("/")
    found = [one for one in verdict.objectives if (one.slo, one.phase) == (slo, phase) and one.outcome is Outcome.FAIL]
    wanted = [one for one in found if not cohort or one.cohort == cohort[0]]
    return f"{wanted[0].cohort}: {wanted[0].reason}" if wanted else ""


def too_busy(verdict: Verdict) -> bool:
    """The machine was: such a run tells nothing, and is made again."""
    return any(check.name in _OF_THE_MACHINE and not check.ok for check in verdict.validity)
