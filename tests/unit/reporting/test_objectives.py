from __future__ import annotations

from crashcart.model.verdict import ObjectiveResult, Outcome
from crashcart.reporting.objectives import group_objectives


def row(cohort: str, margin: float | None, outcome: Outcome = Outcome.PASS, phase: str = "fault") -> ObjectiveResult:
    return ObjectiveResult(
        id=f"{phase}/s/{cohort}",
        slo="s",
        title="S",
        phase=phase,
        cohort=cohort,
        objective=0.9,
        outcome=outcome,
        reason="",
        good=1,
        valid=1,
        excluded=0,
        observed=None if margin is None else 0.9 + margin,
        margin=margin,
        p_value=None,
        bad_allowed=0.1,
    )


def test_what_failed_comes_first_then_what_is_not_known_then_the_least_margin() -> None:
    rows = [
        row("all", 0.05),
        row("a:1", 0.02),
        row("a:2", None, Outcome.INCONCLUSIVE),
        row("a:3", -0.2, Outcome.FAIL),
        row("a:4", -0.3, Outcome.FAIL),
    ]
    (group,) = group_objectives(rows)
    assert [one.cohort for one in group.rows] == ["a:4", "a:3", "a:2", "a:1", "all"]


def test_what_is_not_met_the_worst_cohort_and_all_shoppers_are_never_folded_away() -> None:
    rows = [row("all", 0.05), row("a:1", 0.02), row("a:2", 0.03), row("a:3", None, Outcome.INCONCLUSIVE)]
    (group,) = group_objectives(rows)
    assert {one.cohort for one in group.shown} == {"a:3", "all"}
    assert {one.cohort for one in group.folded} == {"a:1", "a:2"}
    (calm,) = group_objectives(rows[:3])
    assert {one.cohort for one in calm.shown} == {"a:1", "all"}


def test_an_objective_without_cohorts_is_its_own_worst() -> None:
    (group,) = group_objectives([row("all", 0.05)])
    assert group.worst is group.everyone
    assert len(group.shown) == 1


def test_phases_keep_their_order() -> None:
    groups = group_objectives([row("all", 0, phase="baseline"), row("all", -1, Outcome.FAIL, phase="fault")])
    assert [group.phase for group in groups] == ["baseline", "fault"]
