"""The same run, told otherwise: shifted, split, relabelled, its rows and files in another order."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import msgspec

from crashcart.judging import judge
from crashcart.model.plan import Phase, Plan, PlannedObjective
from crashcart.model.verdict import Outcome, Verdict
from crashcart.recorder.manifest import list_files, read_manifest, write_manifest
from tests.unit.judging.recordings import MadeUp

ORDER = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASS: 2}
Thing = TypeVar("Thing")


def judged(run: MadeUp) -> Verdict:
    """Write it down, and judge it."""
    with tempfile.TemporaryDirectory() as folder:
        return judge(run.write(Path(folder) / "run"))


def said(verdict: Verdict, rename: Callable[[str], str] = str) -> dict[str, Any]:
    """All that was found, without sentences and absolute times. `rename`: of cohorts in the ids of objectives."""
    recovery = verdict.recovery
    return {
        "outcome": (verdict.outcome, verdict.exit_status, verdict.valid),
        "checks": [(check.name, check.ok) for check in verdict.validity],
        "objectives": {
            rename(one.id): (one.outcome, one.good, one.valid, one.excluded, one.observed, one.margin, one.p_value)
            for one in verdict.objectives
        },
        "recovery": recovery and msgspec.structs.replace(recovery, reason=""),
        "invariants": [(one.name, one.outcome, one.examined, one.violations) for one in verdict.invariants],
        "evidence": [msgspec.structs.replace(one, detail="") for one in verdict.evidence],
        "phases": [msgspec.structs.replace(one, start_s=0.0, end_s=0.0) for one in verdict.phases],
        "cost": verdict.cost,
        "links": verdict.links,
    }


def shifted(run: MadeUp, by_s: int) -> MadeUp:
    """All of it so many seconds later on its own clock."""

    def later(phase: Phase) -> Phase:
        return msgspec.structs.replace(phase, start_s=phase.start_s + by_s, end_s=phase.end_s + by_s)

    plan = run.plan
    faults = tuple(
        msgspec.structs.replace(fault, start_s=fault.start_s + by_s, end_s=fault.end_s + by_s) for fault in plan.faults
    )
    recovery = plan.recovery and msgspec.structs.replace(plan.recovery, from_s=plan.recovery.from_s + by_s)
    return replace(
        run,
        plan=msgspec.structs.replace(plan, phases=tuple(map(later, plan.phases)), faults=faults, recovery=recovery),
        intents=[replace(one, planned_s=one.planned_s + by_s) for one in run.intents],
        pace={second + by_s: row for second, row in run.pace.items()},
        events=[(name, t + by_s, data) for name, t, data in run.events],
        probed_from_s=run.probed_from_s + by_s,
        sees=lambda t, side: run.sees(t - by_s, side),
    )


def split(run: MadeUp, name: str, at_s: float) -> MadeUp:
    """With one phase told as two, `name` until then and `name-2` from then on. The same is expected of both."""
    phases: list[Phase] = []
    for phase in run.plan.phases:
        if phase.name != name:
            phases.append(phase)
            continue
        phases.append(msgspec.structs.replace(phase, end_s=at_s))
        phases.append(msgspec.structs.replace(phase, name=f"{name}-2", start_s=at_s))
    objectives: list[PlannedObjective] = []
    for one in run.plan.objectives:
        objectives.append(one)
        if one.phase == name:
            objectives.append(msgspec.structs.replace(one, id=one.id.replace(name, f"{name}-2", 1), phase=f"{name}-2"))
    return replace(run, plan=msgspec.structs.replace(run.plan, phases=tuple(phases), objectives=tuple(objectives)))


def renamed(run: MadeUp, names: Mapping[str, str]) -> MadeUp:
    """With other names for networks, everywhere."""

    def name(cohort: str) -> str:
        dimension, _, value = cohort.partition(":")
        return f"network:{names[value]}" if dimension == "network" else cohort

    plan = run.plan
    return replace(
        run,
        plan=msgspec.structs.replace(
            plan,
            load=msgspec.structs.replace(
                plan.load,
                cohorts={
                    dimension: {names.get(value, value): share for value, share in values.items()}
                    for dimension, values in plan.load.cohorts.items()
                },
            ),
            slos=tuple(
                msgspec.structs.replace(slo, objectives={name(one): wanted for one, wanted in slo.objectives.items()})
                for slo in plan.slos
            ),
            objectives=tuple(
                msgspec.structs.replace(one, cohort=name(one.cohort), id=f"{one.phase}/{one.slo}/{name(one.cohort)}")
                for one in plan.objectives
            ),
        ),
        intents=[replace(one, network=names[one.network]) for one in run.intents],
    )


def reordered(run: MadeUp, seed: int) -> MadeUp:
    """With everything that the plan lists by name in another order: cohorts, objectives, SLOs, invariants, sources."""
    mix = random.Random(seed)
    plan: Plan = run.plan
    load = {dimension: mixed(mix, values) for dimension, values in mixed(mix, plan.load.cohorts).items()}
    slos = [msgspec.structs.replace(slo, objectives=mixed(mix, slo.objectives)) for slo in plan.slos]
    return replace(
        run,
        plan=msgspec.structs.replace(
            plan,
            load=msgspec.structs.replace(plan.load, cohorts=load),
            slos=tuple(_mixed(mix, slos)),
            objectives=tuple(_mixed(mix, plan.objectives)),
            truth=msgspec.structs.replace(plan.truth, sources=mixed(mix, plan.truth.sources)),
        ),
    )


def mixed(mix: random.Random, named: Mapping[str, Thing]) -> dict[str, Thing]:
    return dict(_mixed(mix, list(named.items())))


def _mixed(mix: random.Random, things: Any) -> list[Any]:
    return mix.sample(list(things), len(things))


def shuffled(recording: Path, seed: int) -> None:
    """Every table's rows in another order, and the manifest's files; events too, but those of one name keep theirs."""
    with duckdb.connect() as database:
        for path in sorted(recording.rglob("*.parquet")):
            database.execute(f"CREATE OR REPLACE TABLE rows AS FROM read_parquet('{path}')")
            database.execute(
                f"COPY (SELECT * FROM rows ORDER BY hash({seed} + rowid), rowid) TO '{path}' (FORMAT parquet)"
            )
    mix = random.Random(seed)
    events = recording / "events.jsonl"
    lines = events.read_text().splitlines(keepends=True)
    names = [str(json.loads(line)["event"]) for line in lines]
    queues = {name: iter([line for line, its in zip(lines, names, strict=True) if its == name]) for name in names}
    events.write_text("".join(next(queues[name]) for name in _mixed(mix, names)))
    sign(recording, lambda files: _mixed(mix, files))


def sign(recording: Path, order: Callable[[list[Any]], list[Any]] = list) -> None:
    """A manifest of the files as they are by now."""
    manifest = read_manifest(recording)
    assert manifest is not None
    rows = {entry.path: entry.rows for entry in manifest.files if entry.rows is not None}
    files = tuple(order(list(list_files(recording, rows))))
    write_manifest(recording, msgspec.structs.replace(manifest, files=files))
