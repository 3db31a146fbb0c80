"""From a verdict, or from an error in its place, to a line of a suite's summary."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

import crashcart
from crashcart.model.errors import ExitStatus
from crashcart.model.plan import Plan
from crashcart.model.verdict import VERDICT_FORMAT, Cost, ObjectiveResult, Outcome, Verdict
from crashcart.reporting import words
from crashcart.shelf.suite import Attempt, Entry


def attempt_of(verdict: Verdict, recording: str, took_s: float, timeline_s: float) -> Attempt:
    """A run that came to a verdict."""
    recovery = verdict.recovery
    overhead_s = round(took_s - timeline_s, 1) if verdict.ended == "completed" else None
    return Attempt(
        run_id=verdict.run_id,
        recording=recording,
        outcome=verdict.outcome,
        exit_status=verdict.exit_status,
        headline=verdict.headline,
        worst=worst_of(verdict),
        ended=verdict.ended,
        recovered_after_s=recovery.recovered_after_s if recovery else None,
        purchases_lost=verdict.cost.purchases_lost,
        took_s=round(took_s, 1),
        overhead_s=overhead_s,
    )


def broken_attempt(run_id: str, recording: str, problem: str, exit_status: int, took_s: float) -> Attempt:
    """A run that came to none. `problem` is what happened."""
    return Attempt(
        run_id=run_id,
        recording=recording,
        outcome=Outcome.INCONCLUSIVE,
        exit_status=exit_status,
        headline=problem,
        worst=problem.splitlines()[0] if problem else "no verdict",
        ended="broken",
        recovered_after_s=None,
        purchases_lost=None,
        took_s=round(took_s, 1),
        overhead_s=None,
    )


def worst_of(verdict: Verdict) -> str:
    """The first reason why it is no pass; of a pass, the objective that was met most narrowly."""
    if verdict.reasons:
        return verdict.reasons[0]
    if verdict.outcome is not Outcome.PASS or verdict.exit_status != ExitStatus.PASS:
        return verdict.headline
    tightest = min(verdict.objectives, key=_budget_left, default=None)
    if tightest is None or _budget_left(tightest) >= 1:
        return "no bad event under any objective" if tightest else ""
    used = 1 - _budget_left(tightest)
    return (
        f"tightest: {tightest.slo} of {words.cohort(tightest.cohort)} in {tightest.phase}, "
        f"{words.share(tightest.observed)} of {words.target(tightest.objective)} ({used:.0%} of its budget)"
    )


def _budget_left(objective: ObjectiveResult) -> float:
    """Of the bad events allowed; 1 where there was none."""
    bad = objective.valid - objective.good
    return 1 - bad / objective.bad_allowed if objective.bad_allowed > 0 else 1.0 if not bad else 0.0


def for_junit(entry: Entry, plan: Plan, verdict: Verdict | None) -> Verdict:
    """The verdict of an entry's last attempt as CI is to see it: what came before it is said, no attempt is missing."""
    if verdict is None or entry.last is None or verdict.run_id != entry.last.run_id:
        return _without_verdict(plan, entry)
    if verdict.exit_status != entry.last.exit_status:
        # something went wrong after it was judged: the attempt has the last word
        verdict = msgspec.structs.replace(
            verdict, exit_status=entry.last.exit_status, headline=entry.last.headline, ended=entry.last.ended
        )
    return verdict if len(entry.attempts) == 1 else _after_others(verdict, entry.attempts)


def _after_others(verdict: Verdict, attempts: Sequence[Attempt]) -> Verdict:
    told = tuple(f"attempt {n} ({one.run_id}): {one.headline}" for n, one in enumerate(attempts[:-1], start=1))
    course = ", then ".join(one.outcome.value for one in attempts)
    headline = f"{course}: {words.headline(verdict.headline, verdict.outcome)}"
    return msgspec.structs.replace(verdict, headline=headline, reasons=(*told, *verdict.reasons))


def _without_verdict(plan: Plan, entry: Entry) -> Verdict:
    last = entry.last
    return Verdict(
        format=VERDICT_FORMAT,
        experiment=plan.name,
        title=plan.title,
        hypothesis=plan.hypothesis,
        run_id=last.run_id if last else "",
        outcome=Outcome.INCONCLUSIVE,
        exit_status=last.exit_status if last else int(ExitStatus.INCONCLUSIVE),
        headline=last.headline if last else "Not run: the suite ended before it.",
        reasons=tuple(one.headline for one in entry.attempts[:-1]),
        look_at=(),
        ended=last.ended if last else "not run",
        valid=False,
        validity=(),
        evidence=(),
        objectives=(),
        recovery=None,
        invariants=(),
        phases=(),
        cost=Cost(0, 0, None, {}, None),
        disagreements=(),
        crashcart_version=crashcart.__version__,
    )
