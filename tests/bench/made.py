"""A recording of any size, made up: the reference shop sold so many orders, and one of its processors was away a while.

Books, diary and counters agree as they do after a real run that passes, so that the judge has to look at everything.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from crashcart.faults import registry
from crashcart.judging.delivery import LOAD_JOB
from crashcart.loading import open_project
from crashcart.model.fault import LogRecord, Step
from crashcart.model.plan import Plan
from crashcart.model.recording import LoadCount, Machine, SeriesSample
from crashcart.planning import Request
from crashcart.planning import plan as make_plan
from crashcart.recorder import Recorder
from crashcart.recorder.reading import quoted

DURATION_S = 1000
FAULT_S = 90
EXPERIMENT = "card-processor-outage-at-peak"
T0_WALL_S = 1_700_000_000.0

_QUERIES = dict(
    re.findall(
        r"^-- (\S+):\n(.*?)(?=^-- |\Z)", (Path(__file__).parent / "made.sql").read_text(), re.DOTALL | re.MULTILINE
    )
)
_EDGES = ("0.1", "0.25", "0.5", "+Inf")


def made_plan(root: Path, intents: int) -> Plan:
    """A run of 1,000 s, at the rate that gives so many intents."""
    settings = {"warmup": 10, "baseline": 400, "fault": FAULT_S, "recovery": DURATION_S - 410 - FAULT_S}
    overrides = [f"timeline.{name}={lasts_s}s" for name, lasts_s in settings.items()]
    peak_per_s = min(intents / DURATION_S, 10_000.0)
    project = open_project(root)
    file = project.experiment(EXPERIMENT, [*overrides, f"load.peak_per_s={peak_per_s:g}"])
    plan = make_plan(Request(file, project, "local", lambda _: "", registry()))
    return msgspec.structs.replace(plan, peak_per_s=intents / DURATION_S)


def make_recording(root: Path, out: Path, intents: int) -> Path:
    """Write one into `out`, which does not exist yet."""
    plan = made_plan(root, intents)
    (out / "truth").mkdir(parents=True)
    (out / "plan.json").write_bytes(msgspec.json.encode(plan))
    recorder = Recorder(out)
    with duckdb.connect(config={"memory_limit": "2GB", "temp_directory": str(out / ".spill")}) as database:
        _write_tables(database, plan, out, intents)
        samples = _samples(plan, database.execute(_QUERIES["counts"]).fetchall())
    recorder.series(samples)
    counters = _counters(samples)
    (out / "load-counters.jsonl").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in counters))
    fault = plan.faults[0]
    for name, t, data in _events(plan):
        recorder.event(name, t, **data)
    step = Step(fault.kind, fault.targets[0], {})
    log = [LogRecord(op, fault.id, step, 0.0, "", "", 0.0, "harness") for op in ("injected", "undone")]
    (out / "faultlog.jsonl").write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in log))
    (out / "load-summary.json").write_bytes(
        msgspec.json.encode({"broken": "", "not_started": 0, "crashed": 0, "counted": len(counters)})
    )
    recorder.finish(
        run_id="made-up",
        experiment=plan.name,
        started_wall="",
        finished_wall="",
        ended="completed",
        crashcart_version=plan.crashcart_version,
        commit="",
        machine=Machine(1, 1, "", "", {}),
    )
    return out


def _write_tables(database: duckdb.DuckDBPyConnection, plan: Plan, out: Path, intents: int) -> None:
    fault = plan.faults[0]
    known: dict[str, object] = {
        "n": intents,
        "per_s": plan.peak_per_s,
        "t0_wall_s": T0_WALL_S,
        "duration_s": DURATION_S,
        "sessions": _sessions(plan),
        "phases": " ".join(f"WHEN planned_s < {phase.end_s} THEN '{phase.name}'" for phase in plan.phases),
        "from_s": fault.start_s,
        "to_s": fault.end_s,
        "watched": list(fault.watched),
    }
    database.execute(_QUERIES["made"].format(**known))
    tables = [name for name in _QUERIES if name not in ("made", "counts")]
    for name in tables:
        select = _QUERIES[name].format(**known)
        database.execute(f"COPY ({select}) TO {quoted(out / f'{name}.parquet')} (COMPRESSION zstd)")
    for name, source in plan.truth.sources.items():
        if f"truth/{name}" not in tables:
            columns = ", ".join(f"NULL::{kind} AS {column}" for column, kind in source.columns.items())
            path = out / "truth" / f"{name}.parquet"
            database.execute(f"COPY (SELECT {columns} WHERE false) TO {quoted(path)}")


def _sessions(plan: Plan) -> int:
    return round(plan.peak_per_s / plan.load.purchase_share)


def _events(plan: Plan) -> list[tuple[str, float, dict[str, Any]]]:
    fault = plan.faults[0]
    return [
        ("load-started", 0.0, {"t0_wall": T0_WALL_S, "t0_mono": 0.0, "boot_offset_s": 3.0}),
        ("gate", fault.start_s, {"passed": True, "results": []}),
        ("fault-injected", fault.start_s, {"fault": fault.id, "took_s": 0.01}),
        ("fault-undone", fault.end_s + 0.01, {"fault": fault.id, "took_s": 0.01}),
        ("load-settled", DURATION_S + 1.0, {"in_flight": 0}),
        ("quiesced", DURATION_S + 2.0, {"took_s": 0.3, "pending": {}}),
        ("books-read", DURATION_S + 3.0, {"rows": {}, "errors": {}}),
        ("stopped", DURATION_S + 4.0, {"took_s": 1.0}),
    ]


Child = tuple[str, tuple[tuple[str, str], ...]]


def _samples(plan: Plan, counts: Sequence[tuple[int, str, str, bool | None, str, int]]) -> list[SeriesSample]:
    """What would have been scraped once a second: of each series a 0 before the start, its growth, and the end."""
    grown: dict[Child, Counter[int]] = defaultdict(Counter)
    for second, phase, outcome, quick, cohort, n in counts:
        for metric, labels, counted in _of_purchase(outcome, quick=bool(quick)):
            for planned in plan.phases:
                child = (metric, tuple(sorted({**labels, "cohort": cohort, "phase": planned.name}.items())))
                grown[child][second] += n if planned.name == phase and counted else 0
    for second in range(DURATION_S):
        for edge in ("0.05", "+Inf"):
            grown["shopper_lateness_seconds_bucket", (("le", edge),)][second] += _sessions(plan)
        for link in plan.faults[0].links:
            client = link.partition(".")[0]
            of_client = (("instance", f"{client}[0]"), ("job", client), ("link", link), ("outcome", "ok"))
            grown["link_calls_total", of_client][second] += 50
    for second, _, outcome, _, cohort, n in counts:
        status_class = "5xx" if outcome == "failed" else "2xx"
        at_the_door = (("job", "storefront"), ("service", "storefront"), ("status_class", status_class))
        grown["http_requests_total", at_the_door][second] += n if cohort == "all" else 0
    grown["shop_component_state", (("component", "checkout"), ("job", "checkout"))][0] += 1
    return _scraped(grown)


def _scraped(grown: Mapping[Child, Counter[int]]) -> list[SeriesSample]:
    found = []
    for (metric, pairs), by_second in grown.items():
        every = {"job": LOAD_JOB, "instance": "load", **dict(pairs)}
        text = msgspec.json.encode(every, order="sorted").decode()
        value = 0
        found.append(SeriesSample(metric, text, -1.0, 0.0))
        for second in sorted({*by_second, DURATION_S + 2}):
            value += by_second[second]
            found.append(SeriesSample(metric, text, second + 0.9, float(value)))
    return found


def _counters(samples: Sequence[SeriesSample]) -> list[LoadCount]:
    """What the load counted: how each of its series stands in the end."""
    last = {(one.metric, one.labels): one.value for one in samples}
    found = []
    for (metric, text), value in last.items():
        labels = msgspec.json.decode(text, type=dict[str, str])
        if labels.pop("job") == LOAD_JOB:
            del labels["instance"]
            found.append(LoadCount(metric, labels, int(value)))
    return found


def _of_purchase(outcome: str, *, quick: bool) -> Iterator[tuple[str, dict[str, str], bool]]:
    """(metric, labels, whether it grows by it) for a purchase and the pages before it."""
    yield "shopper_intended_total", {}, True
    yield "shopper_events_total", {"sli": "purchase", "outcome": outcome}, True
    for honest in ("yes", "no"):
        yield "shopper_failures_total", {"honest": honest}, honest == "yes" and outcome == "failed"
    for sli in ("browse", "cart", "checkout"):
        sent = sli != "checkout" or outcome != "blocked"
        yield "shopper_events_total", {"sli": sli, "outcome": outcome if sli == "checkout" else "ok"}, sent
        for edge in _EDGES:
            good = sli != "checkout" or edge != "0.1" or quick
            yield "shopper_latency_seconds_bucket", {"sli": sli, "le": edge}, sent and good
