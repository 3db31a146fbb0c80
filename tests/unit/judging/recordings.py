"""Recordings made up for the judge: whole, consistent, and then wrong in one way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import msgspec

from crashcart.model.fault import LogRecord, Step
from crashcart.model.plan import (
    Plan,
)
from crashcart.model.recording import Machine, ProbeSample, SeriesSample
from crashcart.recorder import Recorder
from tests.unit.judging.planned import PER_S, PROXY, SHARE, plan

Row = TypeVar("Row")


@dataclass
class Told:
    """One purchase, as it went."""

    id: str
    planned_s: float
    network: str
    outcome: str = "ok"
    latency_ms: float = 80.0
    honest: bool = True
    in_books: bool = True
    total_cents: int = 1000
    saw: str = ""


Story = Callable[[Told], None]


@dataclass
class MadeUp:
    """A run that can be spoilt before it is written down."""

    plan: Plan
    intents: list[Told]
    pace: dict[int, tuple[int, int]]
    late: int = 0
    """Sessions of every second that begin too late."""
    calls_per_s: int = 20
    sees: Callable[[float, str], tuple[bool, float]] = lambda t, side: (not (side == "through" and 25 <= t <= 35), 1.0)
    """(time, side) → whether a probe came through, and its milliseconds."""
    said: Callable[[int], int] = lambda quarter: 1
    """Quarter of a second → how often what was seen then is written down."""
    events: list[tuple[str, float, dict[str, Any]]] = field(default_factory=list)
    series: list[SeriesSample] = field(default_factory=list)
    miscounted: int = 0
    drop: Callable[[str, int], bool] = lambda table, row: False
    """(table, row) → whether that row is lost before it is recorded."""
    ended: Any = "completed"
    summary: dict[str, Any] = field(default_factory=lambda: {"broken": "", "not_started": 0, "crashed": 0})
    faultlog: list[LogRecord] = field(default_factory=list)
    books: bool = True
    rows_read_beyond: int = 0
    """Rows of the orders that were read and are not there."""
    drop_series: Callable[[str, str], bool] = lambda metric, labels: False
    """(metric, labels) → whether that series is lost."""
    last_value: float | None = None
    """What every counter stands at in the end."""
    finished: bool = True

    def without_event(self, name: str) -> None:
        self.events = [event for event in self.events if event[0] != name]

    def spoil(self, story: Story, start_s: float = 0.0, end_s: float = 1e9) -> None:
        for told in self.intents:
            if start_s <= told.planned_s < end_s:
                story(told)

    def write(self, directory: Path) -> Path:
        directory.mkdir(parents=True)
        recorder = Recorder(directory)
        (directory / "plan.json").write_bytes(msgspec.json.encode(self.plan))
        booked = sum(one.in_books and one.outcome in BOOKED for one in self.intents)
        for name, t, data in self.events:
            as_read = (
                {"rows": {"orders": booked + self.rows_read_beyond}}
                if name == "books-read" and data.get("rows")
                else {}
            )
            recorder.event(name, t, **{**data, **as_read})
        (directory / "faultlog.jsonl").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in self.faultlog))
        _write_lines(directory / "intents.jsonl", self._kept("intents", self._diary()))
        _write_lines(
            directory / "pace.jsonl",
            [{"t": t, "scheduled": planned, "started": began, "ops": {}} for t, (planned, began) in self.pace.items()],
        )
        (directory / "load-summary.json").write_text(json.dumps(self.summary))
        recorder.series(self._kept("series", [*self._counters(), *self.series]))
        for quarter in range(5 * 4, 60 * 4):
            for side in ("through", "beside"):
                ok, ms = self.sees(quarter / 4, side)
                for _ in range(self.said(quarter)):
                    recorder.probe(ProbeSample(quarter / 4, PROXY, side, ok, ms))
        if self.books:
            _write_orders(directory, self.intents)
        recorder.close()
        if self.finished:
            self.finish(directory)
        return directory

    def finish(self, directory: Path) -> None:
        """What a run does last."""
        Recorder(directory).finish(
            run_id="r1",
            experiment=self.plan.name,
            started_wall="a",
            finished_wall="b",
            ended=self.ended,
            crashcart_version="0.0.0",
            commit="c",
            machine=Machine(2, 1, "k", "p", {}),
        )

    def _kept(self, table: str, rows: list[Row]) -> list[Row]:
        return [row for number, row in enumerate(rows) if not self.drop(table, number)]

    def _diary(self) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        for number, one in enumerate(self.intents):
            reference = f"R-{number}"
            lines.append(
                {
                    "r": "intent",
                    "id": one.id,
                    "session": number,
                    "phase": self.phase_at(one.planned_s),
                    "planned_s": one.planned_s,
                    "cohorts": {"network": one.network},
                }
            )
            sent = one.outcome not in ("blocked", "gave_up")
            if sent:
                lines.append(
                    {
                        "r": "send",
                        "id": one.id,
                        "attempt": 1,
                        "intended_s": one.planned_s,
                        "sent_s": one.planned_s,
                        "lines": [["G1", 1]],
                        "total_cents": one.total_cents,
                        "network": one.network,
                    }
                )
            lines.append(
                {
                    "r": "end",
                    "saw": one.saw,
                    "id": one.id,
                    "outcome": one.outcome,
                    "latency_ms": one.latency_ms if sent else None,
                    "attempts": int(sent),
                    "status": 201,
                    "problem": "",
                    "reference": reference,
                    "order_id": one.id,
                    "safe_to_retry": None,
                    "done_s": one.planned_s + one.latency_ms / 1000,
                }
            )
        return lines

    def phase_at(self, t: float) -> str:
        return next((phase.name for phase in self.plan.phases if t < phase.end_s), self.plan.phases[-1].name)

    def _counters(self) -> list[SeriesSample]:
        """What would have been scraped, each second from before the start until after the end."""
        counts = Counts()
        for cohort in ("all", "network:visa", "network:amex"):
            for phase in self.plan.phases:
                _create(counts, {"cohort": cohort, "phase": phase.name})
        for one in self.intents:
            for cohort in ("all", f"network:{one.network}"):
                _count_one(counts, one, {"cohort": cohort, "phase": self.phase_at(one.planned_s)})
        counts.add("shopper_intended_total", 0, {"cohort": "all", "phase": "recovery"}, self.miscounted)
        for second, (_, began) in self.pace.items():
            counts.add("shopper_lateness_seconds_bucket", second, {"le": "0.05"}, max(0, began - self.late))
            counts.add("shopper_lateness_seconds_bucket", second, {"le": "+Inf"}, began)
            counts.add("link_calls_total", second, {"link": "checkout.payments", "outcome": "ok"}, self.calls_per_s)
            counts.add("link_calls_total", second, {"link": "checkout.payments", "outcome": "short_circuited"}, 50)
        if self.last_value is not None:
            return [
                msgspec.structs.replace(one, value=self.last_value) if one.t > 63 else one for one in counts.samples()
            ]
        return [one for one in counts.samples() if not self.drop_series(one.metric, one.labels)]


class Counts:
    """Counters, by the second in which they grew."""

    def __init__(self) -> None:
        self._grown: dict[tuple[str, tuple[tuple[str, str], ...]], Counter[int]] = {}

    def add(self, metric: str, second: int, labels: dict[str, str], n: int = 1) -> None:
        self._grown.setdefault((metric, tuple(sorted(labels.items()))), Counter())[second] += n

    def samples(self) -> list[SeriesSample]:
        found = []
        for (metric, pairs), by_second in self._grown.items():
            labels = json.dumps({**dict(pairs), "job": "load"}, sort_keys=True)
            value = 0
            found.append(SeriesSample(metric, labels, -1.0, 0.0))
            for second in range(64):
                value += by_second[second]
                found.append(SeriesSample(metric, labels, second + 0.9999, float(value)))
        return found


OUTCOMES = ("ok", "declined", "sold_out", "failed", "unknown", "gave_up", "blocked")
BUCKET = "shopper_latency_seconds_bucket"


def _create(counts: Counts, where: dict[str, str]) -> None:
    counts.add("shopper_intended_total", 0, where, 0)
    for outcome in OUTCOMES:
        counts.add("shopper_events_total", 0, {**where, "sli": "purchase", "outcome": outcome}, 0)
    for honest in ("yes", "no"):
        counts.add("shopper_failures_total", 0, {**where, "honest": honest}, 0)
    for le in ("0.5", "+Inf"):
        counts.add(BUCKET, 0, {**where, "sli": "checkout", "le": le}, 0)


def _count_one(counts: Counts, one: Told, where: dict[str, str]) -> None:
    done = int(one.planned_s + one.latency_ms / 1000)
    counts.add("shopper_intended_total", int(one.planned_s), where)
    counts.add("shopper_events_total", done, {**where, "sli": "purchase", "outcome": one.outcome})
    if one.outcome not in ("blocked", "gave_up"):
        quick = one.outcome in ("ok", "declined", "sold_out") and one.latency_ms <= 500
        counts.add(BUCKET, done, {**where, "sli": "checkout", "le": "0.5"}, int(quick))
        counts.add(BUCKET, done, {**where, "sli": "checkout", "le": "+Inf"})
    if one.outcome in ("failed", "unknown"):
        counts.add("shopper_failures_total", done, {**where, "honest": "yes" if one.honest else "no"})


def _write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


BOOKED = {"ok": "accepted", "unknown": "accepted", "declined": "declined"}


def _write_orders(directory: Path, intents: list[Told]) -> None:
    rows = [(one.id, BOOKED[one.outcome]) for one in intents if one.in_books and one.outcome in BOOKED]
    (directory / "truth").mkdir()
    with duckdb.connect() as database:
        database.execute("CREATE TABLE orders (key VARCHAR, state VARCHAR)")
        database.execute(
            "INSERT INTO orders SELECT unnest(?), unnest(?)", [[row[0] for row in rows], [row[1] for row in rows]]
        )
        database.execute(f"COPY orders TO '{directory / 'truth' / 'orders.parquet'}' (FORMAT parquet)")


def _log(op: Any, by: str = "harness") -> LogRecord:
    return LogRecord(op, "f1", Step("toxiproxy/down", PROXY, {}), 0.0, "w", "b", 0.0, by)


def healthy() -> MadeUp:
    """Nothing goes wrong in it, but for what the fault does to the probes."""
    intents = [
        Told(f"k{second:02}-{n:02}", second + n / PER_S, "amex" if n % 4 == 0 else "visa")
        for second in range(60)
        for n in range(PER_S)
    ]
    sessions = round(PER_S / SHARE)
    return MadeUp(
        plan=plan(),
        intents=intents,
        pace=dict.fromkeys(range(60), (sessions, sessions)),
        events=[
            ("ready", -5.0, {"boot_s": 3.0}),
            ("load-started", 0.0, {"t0_wall": 0.0, "t0_mono": 0.0}),
            ("cpu", 5.0, {"at": "baseline", "process_cpu_s": {"checkout[0]": 1.0}, "busy_s": 10.0, "cores": 2}),
            ("gate", 25.0, {"passed": True, "results": []}),
            ("cpu", 25.0, {"at": "fault", "process_cpu_s": {"checkout[0]": 5.0}, "busy_s": 20.0, "cores": 2}),
            ("fault-injected", 25.05, {"fault": "f1", "took_s": 0.01}),
            ("fault-undone", 35.05, {"fault": "f1", "took_s": 0.01}),
            ("load-settled", 61.0, {"in_flight": 0}),
            ("quiesced", 61.5, {"took_s": 0.3, "pending": {}}),
            ("books-read", 62.0, {"rows": {"orders": 1200}, "errors": {}}),
            ("stopped", 63.0, {"took_s": 1.0}),
        ],
        faultlog=[_log("will-inject"), _log("injected"), _log("will-undo"), _log("undone")],
    )
