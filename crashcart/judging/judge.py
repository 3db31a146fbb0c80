"""Recording → Verdict: a pure function of the recording's files. No clock, no environment, no network."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from crashcart.judging import crowd, deaths, delivery, evidence, incident, links, loadcounts, machine, summary, validity
from crashcart.judging.counters import Counters, read_counters
from crashcart.judging.followup import read_follow_ups
from crashcart.judging.invariants import judge_invariants
from crashcart.judging.objectives import judge_objectives, tally
from crashcart.judging.recovery import Goodput, judge_recovery
from crashcart.judging.remedies import with_remedies
from crashcart.judging.saw import read_saw
from crashcart.judging.shared import OutOfRoom
from crashcart.judging.shoppers import REFUSED, Shoppers, read_by_second, read_shoppers
from crashcart.judging.tape import ROOMS, Room, Tape, open_tape
from crashcart.judging.verdict import Findings, discounted, exit_status, headline, look_at, outcome_of, reasons
from crashcart.model.plan import Plan
from crashcart.model.slo import Selector
from crashcart.model.verdict import (
    VERDICT_FORMAT,
    EvidenceResult,
    ObjectiveResult,
    RecoveryResult,
    ValidityCheck,
    Verdict,
)

METRICS = (
    "shopper_intended_total",
    "shopper_events_total",
    delivery.LATENESS,
    evidence.CALLS,
    summary.REQUESTS,
    *links.METRICS,
    incident.ALERTS,
)


def judge(recording_dir: Path, rooms: Sequence[Room] = ROOMS) -> Verdict:
    """Judge a recording, whole or cut short, in the first room that is large enough.

    Raises BadFile where it is none or was altered, UsageError where it is of a newer crashcart, OutOfRoom where no room
    is large enough.
    """
    *small, largest = rooms
    for room in small:
        with suppress(OutOfRoom), open_tape(recording_dir, room) as tape:
            return _judge(tape)
    with open_tape(recording_dir, largest) as tape:
        return _judge(tape)


def encode(verdict: Verdict) -> bytes:
    """`verdict.json`: the same verdict is the same bytes."""
    return msgspec.json.format(msgspec.json.encode(verdict), indent=1) + b"\n"


def _judge(tape: Tape) -> Verdict:
    plan = tape.plan
    shoppers = read_shoppers(tape)
    saw = read_saw(tape, shoppers)
    counters = read_counters(tape, _metrics(plan))
    follow_ups = read_follow_ups(tape)
    tallies = {objective.id: tally(plan, objective, counters, shoppers, follow_ups) for objective in plan.objectives}
    objectives = judge_objectives(plan, tallies)
    windows = {fault.id: evidence.window_of(tape, fault) for fault in plan.faults}
    samples = evidence.read_samples(tape)
    seen = tuple(evidence.judge_evidence(fault, windows, plan.faults, samples, counters) for fault in plan.faults)
    marks = incident.read_marks(tape)
    recovery = _recovery(tape, shoppers, counters, windows, marks)
    others = machine.free_for_the_run(tape, objectives, recovery)
    findings = discounted(
        Findings(
            validity=_validity(tape, objectives, seen, windows, shoppers, counters, others, saw.get("baseline", "")),
            objectives=objectives,
            recovery=recovery,
            invariants=judge_invariants(tape, shoppers),
        )
    )
    outcome = outcome_of(findings)
    cost = summary.cost(tape, shoppers)
    return Verdict(
        format=VERDICT_FORMAT,
        experiment=plan.name,
        title=plan.title,
        hypothesis=plan.hypothesis,
        run_id=tape.manifest.run_id if tape.manifest else "",
        outcome=outcome,
        exit_status=int(exit_status(tape, outcome)),
        headline=headline(tape, findings, outcome, cost.purchases_lost),
        reasons=reasons(findings),
        look_at=look_at(tape, findings),
        ended=tape.ended,
        valid=findings.valid,
        validity=findings.validity,
        evidence=seen,
        objectives=findings.objectives,
        recovery=findings.recovery,
        invariants=findings.invariants,
        phases=summary.phases(tape, shoppers),
        cost=cost,
        disagreements=summary.disagreements(tape, counters),
        crashcart_version=plan.crashcart_version,
        links=links.read_links(plan, counters),
        follow_up=follow_ups.summed_up(),
        marks=marks,
        saw=tuple(f"{phase}: {said}" for phase, said in saw.items()),
    )


def _metrics(plan: Plan) -> tuple[str, ...]:
    """Everything scraped that a verdict is made of."""
    return (*METRICS, *evidence.metrics(plan.faults), *(selector.metric for selector in _selectors(plan)))


def _selectors(plan: Plan) -> tuple[Selector, ...]:
    """Of every SLO that something is expected of and that is counted in Prometheus."""
    names = {objective.slo for objective in plan.objectives} | set(plan.recovery.slos if plan.recovery else ())
    slos = [slo for name in sorted(names) if (slo := plan.slo(name)).told_within_s is None]
    every = [selector for slo in slos for selector in (slo.good, slo.total, slo.excluded, slo.settled)]
    return tuple(selector for selector in every if selector is not None)


def _validity(
    tape: Tape,
    objectives: tuple[ObjectiveResult, ...],
    seen: tuple[EvidenceResult, ...],
    windows: dict[str, evidence.Window],
    shoppers: Shoppers,
    counters: Counters,
    others: ValidityCheck,
    saw: str,
) -> tuple[ValidityCheck, ...]:
    """Every condition under which the run counts, the one that explains the others first."""
    about_faults: tuple[ValidityCheck, ...] = ()
    if tape.plan.faults:
        about_faults = (
            validity.gate(tape, objectives, saw),
            validity.faults_on_time(tape, windows),
            validity.evidence(seen, machine.others_took(tape)),
            validity.undone(tape),
        )
    return with_remedies(
        (
            validity.completed(tape),
            *about_faults,
            validity.harness_parts(tape),
            validity.proxies(tape),
            delivery.load_delivered(tape),
            delivery.lateness(tape, counters),
            others,
            delivery.load_unbroken(tape, shoppers),
            crowd.shoppers_drawn(tape, shoppers),
            delivery.counters_agree(tape, shoppers, counters),
            loadcounts.all_scraped(tape, counters, _metrics(tape.plan)),
            delivery.counters_whole(tape, counters, _selectors(tape.plan)),
            validity.scrapes(tape, _selectors(tape.plan)),
            validity.clock(tape),
            validity.recording(tape),
            deaths.shop_parts(tape),
        )
    )


def _recovery(
    tape: Tape,
    shoppers: Shoppers,
    counters: Counters,
    windows: dict[str, evidence.Window],
    marks: tuple[incident.Mark, ...],
) -> RecoveryResult | None:
    plan = tape.plan
    if plan.recovery is None:
        return None
    refused = shoppers.count(lambda group: group.outcome in REFUSED) if shoppers.unconfirmable else 0
    result = judge_recovery(
        plan,
        Goodput(shoppers.offered, shoppers.good),
        read_by_second(tape, plan.recovery.from_s),
        counters,
        unconfirmed=refused,
    )
    return None if result is None else incident.taken_apart(result, plan.faults, windows, counters, marks)
