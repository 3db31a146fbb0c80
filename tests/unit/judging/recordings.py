"""Recordings made up for the judge: whole, consistent, and then wrong in one way."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import duckdb
import msgspec

from crashcart.model.fault import LogRecord, Step
from crashcart.model.plan import Plan
from crashcart.model.recording import Machine, ProbeSample, SeriesSample
from crashcart.recorder import Recorder
from tests.unit.judging.counted import Counts, count_one, create
from tests.unit.judging.planned import PER_S, PROXY, SHARE, plan

Row = TypeVar("Row")
SIDES: tuple[Literal["through", "beside"], ...] = ("through", "beside")


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
    status: int = 201
    region: str = ""
    """Of the second dimension of cohorts, where the plan has one."""
    booked_twice: bool = False

    @property
    def cohorts(self) -> dict[str, str]:
        """Dimension → value."""
        return {"network": self.network, **({"region": self.region} if self.region else {})}


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
    probed_from_s: int = 5
    said: Callable[[int], int] = lambda quarter: 1
    """Quarter of a second → how often what was seen then is written down."""
    events: list[tuple[str, float, dict[str, Any]]] = field(default_factory=list)
    series: list[SeriesSample] = field(default_factory=list)
    miscounted: int = 0
    lose: Callable[[str, Any], bool] = lambda table, row: False
    """(table, what is in the row) → whether it is lost before it is recorded; of the books, after they were read."""
    ended: Any = "completed"
    summary: dict[str, Any] = field(default_factory=lambda: {"broken": "", "not_started": 0, "crashed": 0})
    faultlog: list[LogRecord] = field(default_factory=list)
    books: bool = True
    rows_read_beyond: int = 0
    """Rows of the orders that were read and are not there."""
    misread: Callable[[SeriesSample], SeriesSample] = lambda sample: sample
    """What becomes of a sample on its way here."""
    thin: bool = False
    """Samples are thinned before something befalls them, and not after."""
    unscraped: Collection[int] = ()
    """Seconds from the start in which no scrape came through."""
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
        booked = len(_booked(self.intents))
        for name, t, data in self._kept("events", self.events):
            as_read = (
                {"rows": {"orders": booked + self.rows_read_beyond}}
                if name == "books-read" and data.get("rows")
                else {}
            )
            recorder.event(name, t, **{**data, **as_read})
        log = self._kept("faultlog", self.faultlog)
        (directory / "faultlog.jsonl").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in log))
        _write_lines(directory / "intents.jsonl", self._kept("intents", self._diary()))
        pace: list[dict[str, Any]] = [
            {"t": t, "scheduled": planned, "started": began, "ops": {}} for t, (planned, began) in self.pace.items()
        ]
        _write_lines(directory / "pace.jsonl", self._kept("pace", pace))
        counted = self._counts().totals()
        _write_lines(directory / "load-counters.jsonl", self._kept("load-counters", counted))
        (directory / "load-summary.json").write_text(json.dumps({"counted": len(counted), **self.summary}))
        samples = [self.misread(sample) for sample in (*self._counters(), *self.series)]
        recorder.series(self._kept("series", samples))
        for sample in self._kept("evidence", list(self._probes())):
            recorder.probe(sample)
        if self.books:
            _write_orders(directory, self._kept("orders", _booked(self.intents)))
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
        return [row for row in rows if not self.lose(table, row)]

    def _probes(self) -> Iterator[ProbeSample]:
        observed = [fault for fault in self.plan.faults if fault.effect.measure == "observed"]
        for quarter in range(self.probed_from_s * 4, self.end_s * 4):
            t = quarter / 4
            for side in SIDES:
                ok, ms = self.sees(t, side)
                yield from [ProbeSample(t, PROXY, side, ok, ms)] * self.said(quarter)
            for fault in observed:
                yield ProbeSample(t, fault.id, "observed", fault.start_s <= t <= fault.end_s, 5.0)

    def _diary(self) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        for number, one in enumerate(self.intents):
            reference = f"R-{number}"
            lines.append(
                {
                    "r": "intent",
                    "id": one.id,
                    "session": round(number / SHARE),
                    "phase": self.phase_at(one.planned_s),
                    "planned_s": one.planned_s,
                    "cohorts": one.cohorts,
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
                    "status": one.status,
                    "problem": "",
                    "reference": reference,
                    "order_id": one.id,
                    "safe_to_retry": None,
                    "done_s": one.planned_s + one.latency_ms / 1000,
                }
            )
        return lines

    @property
    def start_s(self) -> int:
        """Of the first phase."""
        return int(self.plan.phases[0].start_s)

    @property
    def end_s(self) -> int:
        """Of the last phase."""
        return int(self.plan.phases[-1].end_s)

    def phase_at(self, t: float) -> str:
        return next((phase.name for phase in self.plan.phases if t < phase.end_s), self.plan.phases[-1].name)

    def _counters(self) -> list[SeriesSample]:
        """What would have been scraped, each second from before the start until after the end."""
        counts = self._counts()
        counts.add("shopper_intended_total", 0, {"cohort": "all", "phase": "recovery"}, self.miscounted)
        samples = counts.samples({self.start_s + second for second in self.unscraped}, thin=self.thin)
        if self.last_value is not None:
            return [
                msgspec.structs.replace(one, value=self.last_value) if one.t > self.end_s + 3 else one
                for one in samples
            ]
        return [one for one in samples if not self.drop_series(one.metric, one.labels)]

    def _counts(self) -> Counts:
        """What the load counted, and what the shop's clients did."""
        counts = Counts(self.start_s, self.end_s)
        declared = self.plan.load.cohorts.items()
        for cohort in ("all", *(f"{dimension}:{value}" for dimension, values in declared for value in values)):
            for phase in self.plan.phases:
                create(counts, {"cohort": cohort, "phase": phase.name})
        for one in self.intents:
            for cohort in ("all", *(f"{dimension}:{value}" for dimension, value in one.cohorts.items())):
                count_one(counts, one, {"cohort": cohort, "phase": self.phase_at(one.planned_s)})
        for second, (_, began) in self.pace.items():
            counts.add("shopper_lateness_seconds_bucket", second, {"le": "0.05"}, max(0, began - self.late))
            counts.add("shopper_lateness_seconds_bucket", second, {"le": "+Inf"}, began)
            counts.add("link_calls_total", second, {"link": "checkout.payments", "outcome": "ok"}, self.calls_per_s)
            counts.add("link_calls_total", second, {"link": "checkout.payments", "outcome": "short_circuited"}, 50)
        return counts


def _write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


BOOKED = {"ok": "accepted", "unknown": "accepted", "declined": "declined"}


def _booked(intents: list[Told]) -> list[tuple[str, str]]:
    """(key, state) of every order in the books."""
    booked = [one for one in intents if one.in_books and one.outcome in BOOKED]
    return [(one.id, BOOKED[one.outcome]) for one in booked for _ in range(2 if one.booked_twice else 1)]


def _write_orders(directory: Path, rows: list[tuple[str, str]]) -> None:
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
