"""Verdicts on the made-up recordings, with numbers that agree with their rows."""

from __future__ import annotations

import json
from collections.abc import Iterable

from crashcart.model.plan import Phase, Plan
from crashcart.model.verdict import (
    VERDICT_FORMAT,
    Cost,
    EvidenceResult,
    FollowUp,
    InvariantResult,
    ObjectiveResult,
    Outcome,
    PhaseNumbers,
    RecoveryResult,
    ValidityCheck,
    Verdict,
    Witness,
)
from tests.unit.reporting.series import ALERT, link_numbers
from tests.unit.reporting.stories import COHORTS, LAWS, Story


def make_verdict(plan: Plan, intents: list[dict[str, object]], story: Story) -> Verdict:
    failed, unsure = story.outcome is Outcome.FAIL, story.outcome is Outcome.INCONCLUSIVE
    phases = tuple(_numbers(plan, phase, intents) for phase in plan.phases)
    objectives = tuple(_objectives(plan, intents, story))
    witnesses = tuple(
        Witness(
            {
                "reference": f"R-000000{n}",
                "order_id": story.hostile or f"order-{n}",
                "captures": 2,
                "charged_cents": 8998,
            }
        )
        for n in range(1234, 1238)
    )
    headline = {
        Outcome.PASS: "Every objective was met and the books are right.",
        Outcome.FAIL: (
            "4 orders were charged twice, and of amex purchases 2.94 % came through during the fault "
            "where 90 % were expected."
        ),
        Outcome.INCONCLUSIVE: "The fault left no evidence: 150 ms were declared and 0 ms measured.",
    }[story.outcome]
    return Verdict(
        format=VERDICT_FORMAT,
        experiment=plan.name,
        title=plan.title,
        hypothesis=plan.hypothesis,
        run_id="20261122T080000Z-7f3a",
        outcome=story.outcome,
        exit_status={Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.INCONCLUSIVE: 3}[story.outcome],
        headline=headline + story.hostile,
        reasons=()
        if story.outcome is Outcome.PASS
        else ("no-double-charge: 4 of 3,105 orders were charged twice",) * failed
        + ("objectives were missed by one cohort",),
        look_at=("network:amex during the fault", "logs/payments[0].log for R-0000001234") if failed else (),
        ended="completed",
        valid=not unsure,
        validity=_validity(ok=not unsure),
        evidence=(
            EvidenceResult(
                fault="f1",
                title="payments.psp-a is down",
                ok=not unsure,
                detail="seen through the proxy, not beside it" if not unsure else "150 ms declared, 0.1 ms measured",
                seen_share=0.0 if unsure else 0.9875,
                outside_share=0.0,
                measured_ms=0.1 if unsure else None,
                samples=480,
                calls=612,
                min_calls=10,
            ),
        ),
        objectives=objectives,
        recovery=RecoveryResult(
            outcome=story.outcome,
            reason="healthy 2.4 s after the fault" if not failed else "not recovered within the 30 s observed",
            within_s=10.0,
            recovered_after_s=None if failed else 2.4,
            observed_for_s=30.0 * story.stretch,
            baseline_ratio=0.984,
            breached_after_s=None if unsure else 0.5,
            detected_after_s=None if unsure else 5.3,
            detected_by="" if unsure else ALERT,
            mitigated_after_s=None if unsure else 20.0,
            mitigated_by="" if unsure else "the fault was taken back",
        ),
        invariants=tuple(
            InvariantResult(
                name=name,
                title=title,
                outcome=Outcome.FAIL if failed and name == "no-double-charge" else Outcome.PASS,
                reason="4 of 3,105 examined contradict it" if failed and name == "no-double-charge" else "",
                examined=3105,
                min_examined=1,
                violations=4 if failed and name == "no-double-charge" else 0,
                witnesses=witnesses if failed and name == "no-double-charge" else (),
            )
            for name, (title, _) in LAWS.items()
        ),
        phases=phases,
        cost=Cost(
            purchases_lost=sum(phase.failed + phase.unknown for phase in phases),
            money_lost_cents=4500 * sum(phase.failed + phase.unknown for phase in phases),
            cpu_ms_per_order=14.9,
            cpu_ms_per_order_by_process={
                "checkout[0]": 3.2,
                "storefront[0]": 2.4,
                "toxiproxy": 2.9,
                "orders-db[0]": 1.1,
            },
            neighbours_busy_share=0.03,
            carts_abandoned=sum(phase.blocked + phase.gave_up for phase in phases),
            average_order_cents=4500,
        ),
        disagreements=("checkout counted 3,106 orders accepted, shoppers 3,105",) if failed else (),
        crashcart_version="0.1.0",
        links=tuple(link_numbers(plan, story)),
        follow_up=FollowUp(failed=181, told=170, delay_p50_s=2.1, delay_p99_s=6.8) if failed else None,
        marks=() if unsure else ((plan.phase("fault").start_s + 11.5, "processor's support called, no answer"),),
    )


def _validity(*, ok: bool) -> tuple[ValidityCheck, ...]:
    return (
        ValidityCheck("load-delivered", "The load was delivered", True, "10,664 of 10,664 scheduled sessions began"),
        ValidityCheck("lateness", "The load was on time", True, "p99 4.1 ms late, at most 50 ms allowed"),
        ValidityCheck("scrapes", "No gap in the scrapes", True, "longest gap 1.0 s, 3 s allowed"),
        ValidityCheck(
            "evidence",
            "Every fault acted",
            ok,
            "f1 was seen" if ok else "f1 was not seen",
            "" if ok else "check the link",
        ),
        ValidityCheck("gate", "The shop was healthy before the fault", True, "11 of 11 baseline objectives met"),
    )


def _numbers(plan: Plan, phase: Phase, intents: list[dict[str, object]]) -> PhaseNumbers:
    outcomes = [str(one["outcome"]) for one in intents if one["phase"] == phase.name]
    return PhaseNumbers(
        name=phase.name,
        start_s=phase.start_s,
        end_s=phase.end_s,
        offered=len(outcomes),
        ok=outcomes.count("ok"),
        failed=outcomes.count("failed"),
        blocked=outcomes.count("blocked"),
        gave_up=outcomes.count("gave_up"),
        unknown=outcomes.count("unknown"),
        declined=outcomes.count("declined"),
        sold_out=outcomes.count("sold_out"),
        checkout_p50_ms=61.2,
        checkout_p99_ms=812.4,
    )


def _objectives(plan: Plan, intents: list[dict[str, object]], story: Story) -> Iterable[ObjectiveResult]:
    names = ["all", *(f"{dimension}:{value}" for dimension, values in COHORTS.items() for value in values)]
    for phase in ("baseline", "fault"):
        for slo, title in (
            ("purchase-success", "Purchases that came through"),
            ("checkout-latency", "Answered in 500 ms"),
        ):
            for cohort in names:
                yield _objective(phase, slo, title, cohort, intents, story)


def _objective(
    phase: str, slo: str, title: str, cohort: str, intents: list[dict[str, object]], story: Story
) -> ObjectiveResult:
    dimension, _, value = cohort.partition(":")
    inside = [
        one
        for one in intents
        if one["phase"] == phase and (cohort == "all" or json.loads(str(one["cohorts"]))[dimension] == value)
    ]
    valid = [one for one in inside if one["outcome"] not in ("declined", "sold_out")]
    good = sum(one["outcome"] == "ok" for one in valid)
    objective = 0.9 if phase == "fault" else 0.98
    observed = good / len(valid)
    missed = phase == "fault" and observed < objective
    outcome = (
        Outcome.INCONCLUSIVE if story.outcome is Outcome.INCONCLUSIVE else Outcome.FAIL if missed else Outcome.PASS
    )
    return ObjectiveResult(
        id=f"{phase}/{slo}/{cohort}",
        slo=slo,
        title=title,
        phase=phase,
        cohort=cohort,
        objective=objective,
        outcome=outcome,
        reason=""
        if outcome is Outcome.PASS
        else "the run is not valid"
        if outcome is Outcome.INCONCLUSIVE
        else "missed",
        good=good,
        valid=len(valid),
        excluded=len(inside) - len(valid),
        observed=observed,
        margin=observed - objective,
        p_value=1e-9 if missed else 0.42,
        bad_allowed=len(valid) * (1 - objective),
    )
