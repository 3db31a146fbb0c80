"""Made-up recordings, in the files and shapes of real ones: a pass, a fail with witnesses, an inconclusive one."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb
import msgspec

from crashcart.model.design import Design, Metadata, Service
from crashcart.model.load import LoadProgram
from crashcart.model.plan import PLAN_FORMAT, Effect, Phase, Plan, PlannedFault, PlannedObjective, PlannedRecovery
from crashcart.model.recording import INTENT_COLUMNS, RECORDING_FORMAT, Event, Machine, Manifest
from crashcart.model.slo import Slo, parse_selector
from crashcart.model.truth import Invariant, Quiesce, Truth
from crashcart.model.verdict import Outcome, Verdict
from crashcart.recorder.manifest import list_files, write_manifest
from tests.unit.reporting.series import SERIES_COLUMNS, make_series
from tests.unit.reporting.stories import COHORTS, LAWS, Story
from tests.unit.reporting.verdicts import make_verdict

PROXY = "payments[0].psp-a[0]"
PROBE_COLUMNS = {
    "t": "DOUBLE",
    "proxy": "VARCHAR",
    "side": "VARCHAR",
    "ok": "BOOLEAN",
    "ms": "DOUBLE",
    "error": "VARCHAR",
}
PACE_COLUMNS = {
    "t": "BIGINT",
    "scheduled": "BIGINT",
    "started": "BIGINT",
    "late_p50_ms": "DOUBLE",
    "late_p99_ms": "DOUBLE",
    "late_max_ms": "DOUBLE",
    "in_flight": "BIGINT",
    "ops": "VARCHAR",
}


def make_recording(folder: Path, story: Story) -> Verdict:
    """Write a whole recording and answer the verdict that a judge would give on it."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = make_plan(story)
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    _lines(folder / "events.jsonl", (msgspec.to_builtins(event) for event in _events(plan, story)))
    intents = list(_intents(plan, story))
    write_table(folder, "intents", intents, INTENT_COLUMNS)
    write_table(folder, "pace", _pace(plan), PACE_COLUMNS)
    write_table(folder, "evidence", _probes(plan, story), PROBE_COLUMNS)
    write_table(folder, "series", make_series(plan, story), SERIES_COLUMNS)
    (folder / "logs").mkdir(exist_ok=True)
    _lines(folder / "logs" / "checkout[0].log", _log(story))
    write_manifest(folder, _manifest(story))
    seal(folder)
    return make_verdict(plan, intents, story)


def seal(folder: Path) -> None:
    """What lies there now is what was recorded."""
    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
    write_manifest(folder, msgspec.structs.replace(manifest, files=list_files(folder, {})))


def write_table(folder: Path, name: str, rows: Iterable[Mapping[str, object]], columns: dict[str, str]) -> None:
    """As the recorder does: lines first, Parquet at the end."""
    lines = folder / f"{name}.jsonl"
    _lines(lines, rows)
    with duckdb.connect() as connection:
        connection.read_json(str(lines), format="newline_delimited", columns=columns).write_parquet(
            str(folder / f"{name}.parquet")
        )
    lines.unlink()


def _lines(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_plan(story: Story) -> Plan:
    lengths = {"warmup": 10.0, "baseline": 20.0, "fault": 20.0, "recovery": 30.0}
    phases, start = [], 0.0
    for name, length in lengths.items():
        end = start + length * story.stretch
        phases.append(Phase(name, start, end, (end - start) * story.per_s, (end - start) * story.per_s / 0.3))
        start = end
    fault = phases[2]
    effect = Effect("unreachable") if story.outcome is not Outcome.INCONCLUSIVE else Effect("added-latency", 150)
    return Plan(
        format=PLAN_FORMAT,
        name=story.name,
        title="The bigger card processor is gone for 20 s at peak",
        hypothesis=(
            "Payments move to the other processor within seconds, shoppers in between are told honestly, "
            "nothing bought is lost, nobody is charged twice."
        ),
        tags=("third-party", "nightly"),
        experiment_file=f"experiments/{story.name}.yaml",
        runtime="local",
        design=Design("crashcart/v1", "Design", Metadata("reference"), {"storefront": Service(entry=True)}),
        profile="steady",
        peak_per_s=story.per_s,
        seed=7,
        load=LoadProgram("crashcart/v1", "Load", ("locust",), 0.3, COHORTS),
        phases=tuple(phases),
        faults=(
            PlannedFault(
                id="f1",
                kind="toxiproxy/down",
                settings={"link": "payments.psp-a"},
                title="payments.psp-a is down",
                targets=(PROXY,),
                watched=(PROXY,),
                links=("payments.psp-a",),
                start_s=fault.start_s,
                end_s=fault.end_s,
                effect=effect,
            ),
        ),
        objectives=(
            PlannedObjective("fault/purchase-success/all", "purchase-success", "fault", "all", 0.9, 100, 800.0),
        ),
        recovery=PlannedRecovery(10, 10, fault.end_s, ("purchase-success", "checkout-latency")),
        guardrails=(),
        slos=_slos(),
        truth=_truth(),
        crashcart_version="0.1.0",
    )


def _slos() -> tuple[Slo, ...]:
    def slo(name: str, title: str, good: str, total: str, objective: float) -> Slo:
        return Slo(name, title, "shop", parse_selector(good), parse_selector(total), {"all": objective})

    bucket = 'shopper_latency_seconds_bucket{{sli="checkout",le="{}"}}'
    return (
        slo(
            "purchase-success",
            "Purchases that came through",
            'shopper_events_total{sli="purchase",outcome="ok"}',
            'shopper_intended_total{sli="purchase"}',
            0.99,
        ),
        slo("checkout-latency", "Orders answered within 500 ms", bucket.format("0.5"), bucket.format("+Inf"), 0.95),
    )


def _truth() -> Truth:
    laws = tuple(Invariant(name, title, why, "SELECT 1", "SELECT 1") for name, (title, why) in LAWS.items())
    return Truth({}, Quiesce(30, {}), laws)


def _events(plan: Plan, story: Story) -> Iterable[Event]:
    fault = plan.phase("fault")

    def event(t: float, name: str, **data: object) -> Event:
        return Event(t, f"2026-11-22T08:{int(t % 3600) // 60:02d}:{int(t) % 60:02d}Z", name, data)

    yield event(-4.0, "boot-started")
    yield event(-0.4, "ready", boot_s=3.6)
    yield event(0.0, "load-started", t0_wall=1.0, t0_mono=2.0)
    for phase in plan.phases:
        yield event(phase.start_s, "phase", phase=phase.name)
    yield event(fault.start_s - 0.02, "gate", passed=True, results=[])
    yield event(fault.start_s + 0.04, "fault-injected", fault="f1", took_s=0.03)
    yield event(fault.end_s + 0.05, "fault-undone", fault="f1", took_s=0.02)
    if story.fault_acts:
        yield event(fault.start_s + 11.5, "mark", text=story.hostile or "processor's support called, no answer")
    yield event(plan.duration_s + 4.1, "load-settled", in_flight=0)
    yield event(plan.duration_s + 5.0, "quiesced", took_s=0.9, pending={})
    yield event(plan.duration_s + 5.6, "books-read", rows={"orders": 3105, "charges": 3120})
    yield event(plan.duration_s + 6.5, "stopped", took_s=1.1)


def _intents(plan: Plan, story: Story) -> Iterable[dict[str, object]]:
    rng = random.Random(plan.seed)
    fault, planned_s, number = plan.phase("fault"), 0.0, 0
    while (planned_s := planned_s + rng.expovariate(plan.peak_per_s)) < plan.duration_s:
        number += 1
        phase = next(phase.name for phase in plan.phases if planned_s < phase.end_s)
        cohorts = {name: rng.choices(list(shares), list(shares.values()))[0] for name, shares in COHORTS.items()}
        since = planned_s - fault.start_s
        acts = story.fault_acts and 0 <= since < fault.duration_s and cohorts["network"] == "visa"
        outcome = rng.choices(("ok", "declined", "sold_out"), (0.985, 0.012, 0.003))[0]
        latency = rng.lognormvariate(4.1, 0.35)
        if acts:
            latency = rng.lognormvariate(5.4, 0.6) * (4 if since < 3 else 1)
            if rng.random() < story.lost_in_fault * (2.5 if since < 3 else 0.7):
                outcome = rng.choices(("failed", "unknown", "gave_up", "blocked"), (0.7, 0.15, 0.1, 0.05))[0]
        if 0 <= since < fault.duration_s and story.all_lost and rng.random() < story.all_lost:
            outcome = "failed"
        if since > 0 and cohorts["network"] == "amex" and rng.random() < story.amex_lost:
            outcome = "failed"
        sent = outcome not in ("blocked", "gave_up")
        yield {
            "id": f"key-{number}",
            "session": number * 3,
            "phase": phase,
            "planned_s": round(planned_s, 4),
            "cohorts": json.dumps(cohorts),
            "outcome": outcome,
            "intended_s": round(planned_s + 0.02, 4) if sent else None,
            "sent_s": round(planned_s + 0.021, 4) if sent else None,
            "done_s": round(planned_s + 0.021 + latency / 1000, 4),
            "latency_ms": round(latency, 3) if sent else None,
            "attempts": 1,
            "status": 201 if outcome == "ok" else 503,
            "problem": story.hostile or ("" if outcome == "ok" else "payment-unavailable"),
            "reference": f"R-{number:010d}",
            "order_id": f"order-{number}",
            "safe_to_retry": None,
            "total_cents": rng.randrange(900, 9000),
            "network": cohorts["network"],
            "lines": "[]",
        }


def _pace(plan: Plan) -> Iterable[dict[str, object]]:
    rng = random.Random(11)
    for second in range(int(plan.duration_s)):
        scheduled = round(rng.gauss(plan.peak_per_s / 0.3, 11))
        late = {"late_p50_ms": 0.4, "late_p99_ms": 2 + 4 * rng.random(), "late_max_ms": 12.0}
        yield {"t": second, "scheduled": scheduled, "started": scheduled, **late, "in_flight": 80, "ops": "{}"}


def _probes(plan: Plan, story: Story) -> Iterable[dict[str, object]]:
    rng = random.Random(13)
    fault = plan.phase("fault")
    for quarter in range(int(plan.phase("baseline").start_s * 4), int(plan.duration_s * 4)):
        t = quarter / 4
        acting = story.fault_acts and fault.start_s <= t < fault.end_s
        for side in ("through", "beside"):
            broken = acting and side == "through"
            ms = 0.3 if broken else rng.lognormvariate(0.2, 0.4) + (0.1 if side == "through" else 0)
            row: dict[str, object] = {"t": t, "proxy": PROXY, "side": side, "ok": not broken, "ms": ms}
            yield {**row, "error": "connection refused"} if broken else row


def _log(story: Story) -> Iterable[dict[str, object]]:
    for second, event in enumerate(("order placed", "stock held", "charge unknown", "charge captured", "accepted")):
        yield {
            "ts": f"2026-11-22T08:00:3{second}.120Z",
            "level": "warning" if "unknown" in event else "info",
            "service": "checkout",
            "reference": "R-0000001234",
            "event": event,
            "processor": story.hostile or "psp-a",
        }


def _manifest(story: Story) -> Manifest:
    machine = Machine(
        2, 7960, "Linux 6.1.0", "3.11.2", {"toxiproxy": "2.12.0", "prometheus": "2.42.0", "postgres": "18.6"}
    )
    return Manifest(
        format=RECORDING_FORMAT,
        run_id="20261122T080000Z-7f3a",
        experiment=story.name,
        started_wall="2026-11-22T08:00:00Z",
        finished_wall="2026-11-22T08:01:31Z",
        ended="completed",
        crashcart_version="0.1.0",
        commit="5a1d0c3e9b7f4a2d8c6e1f0b3a5d7c9e2f4b6a8d",
        machine=machine,
        files=(),
    )
