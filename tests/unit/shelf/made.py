"""Verdicts and recordings that are just enough to be listed, compared and pruned."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from crashcart.loading import open_project
from crashcart.model.plan import Plan
from crashcart.model.recording import RECORDING_FORMAT, Machine, Manifest
from crashcart.model.verdict import (
    VERDICT_FORMAT,
    Cost,
    EvidenceResult,
    InvariantResult,
    LinkNumbers,
    ObjectiveResult,
    Outcome,
    PhaseNumbers,
    RecoveryResult,
    ValidityCheck,
    Verdict,
)
from crashcart.reporting.jsonfile import verdict_json
from crashcart.wiring.plans import make_plan

TINY = Path(__file__).parents[2] / "projects" / "tiny"


def a_plan(name: str = "shelf-gone", file: str = "") -> Plan:
    """The tiny project's, under that name."""
    made = make_plan(open_project(TINY), "shelf-gone", ())
    return msgspec.structs.replace(made, name=name, experiment_file=file or f"experiments/{name}.yaml")


def an_objective(good: int, valid: int, outcome: Outcome = Outcome.PASS, cohort: str = "all") -> ObjectiveResult:
    return ObjectiveResult(
        id=f"fault/purchase-success/{cohort}",
        slo="purchase-success",
        title="Purchases that came through",
        phase="fault",
        cohort=cohort,
        objective=0.9,
        outcome=outcome,
        reason="",
        good=good,
        valid=valid,
        excluded=0,
        observed=good / valid if valid else None,
        margin=good / valid - 0.9 if valid else None,
        p_value=None,
        bad_allowed=valid * 0.1,
    )


def an_invariant(violations: int = 0) -> InvariantResult:
    outcome = Outcome.FAIL if violations else Outcome.PASS
    return InvariantResult("no-double-charge", "Nobody pays twice", outcome, "", 1000, 1, violations, ())


def a_recovery(after_s: float | None, outcome: Outcome = Outcome.PASS) -> RecoveryResult:
    return RecoveryResult(outcome, "", 10.0, after_s, 30.0, 0.99, 0.5)


WELL = a_recovery(1.0)


def a_verdict(
    outcome: Outcome = Outcome.PASS,
    *,
    experiment: str = "shelf-gone",
    run_id: str = "20261122T080000Z-aaaa",
    objectives: tuple[ObjectiveResult, ...] = (an_objective(995, 1000),),
    invariants: tuple[InvariantResult, ...] = (an_invariant(),),
    recovery: RecoveryResult | None = WELL,
    reasons: tuple[str, ...] = (),
    lost: int = 5,
    cpu_ms: float = 10.0,
    neighbours: float = 0.01,
    p99_ms: float = 100.0,
    links: tuple[LinkNumbers, ...] = (),
    evidence_ok: bool = True,
    exit_status: int | None = None,
    ended: str = "completed",
) -> Verdict:
    status = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.INCONCLUSIVE: 3}[outcome]
    return Verdict(
        format=VERDICT_FORMAT,
        experiment=experiment,
        title="The shelf is gone",
        hypothesis="",
        run_id=run_id,
        outcome=outcome,
        exit_status=status if exit_status is None else exit_status,
        headline=f"{outcome.value.capitalize()}: as it was made up.",
        reasons=reasons,
        look_at=(),
        ended=ended,
        valid=outcome is not Outcome.INCONCLUSIVE,
        validity=(ValidityCheck("evidence", "Every fault acted", evidence_ok, "as it was made up"),),
        evidence=(
            EvidenceResult(
                "f1", "door.shelf is down", evidence_ok, "", 1.0, 0.0, None, samples=10, calls=10, min_calls=1
            ),
        ),
        objectives=objectives,
        recovery=recovery,
        invariants=invariants,
        phases=(PhaseNumbers("fault", 0.0, 10.0, 1000, 1000 - lost, lost, 0, 0, 0, 50.0, p99_ms),),
        cost=Cost(lost, lost * 100, cpu_ms, {}, neighbours),
        disagreements=(),
        crashcart_version="0.1.0",
        links=links,
    )


def record(
    runs_dir: Path,
    run_id: str,
    verdict: Verdict | None = None,
    *,
    experiment: str = "shelf-gone",
    commit: str = "abc1234",
    fault_log: str = "",
) -> Path:
    """A recording's folder, whole as far as a list is concerned."""
    folder = runs_dir / experiment / run_id
    folder.mkdir(parents=True)
    (folder / "plan.json").write_bytes(msgspec.json.encode(a_plan(experiment)))
    (folder / "events.jsonl").write_text("", encoding="utf-8")
    (folder / "faultlog.jsonl").write_text(fault_log, encoding="utf-8")
    machine = Machine(2, 4096, "6.1", "3.11", {"postgres": "18.6"})
    manifest = Manifest(
        format=RECORDING_FORMAT,
        run_id=run_id,
        experiment=experiment,
        started_wall="2026-11-22T08:00:00.000Z",
        finished_wall="2026-11-22T08:01:30.000Z",
        ended="completed",
        crashcart_version="0.1.0",
        commit=commit,
        machine=machine,
        files=(),
    )
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest) + b"\n")
    if verdict is not None:
        told = msgspec.structs.replace(verdict, run_id=run_id, experiment=experiment)
        (folder / "verdict.json").write_text(verdict_json(told), encoding="utf-8")
    return folder


def open_fault_log() -> str:
    """One step that was done and never taken back."""
    step = {"kind": "toxiproxy/down", "target": "door[0].shelf[0]", "data": {}}
    common = {"fault": "f1", "step": step, "at_mono_s": 1.0, "wall": "", "boot_id": "b", "expires_mono_s": 9.0}
    return "".join(json.dumps({"op": op, **common}) + "\n" for op in ("will-inject", "injected"))
