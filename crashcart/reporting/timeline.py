"""What the charts need of a recording, counted by DuckDB into at most a few hundred bins, however long the run was.

Files that an interrupted run did not get to write leave their part empty; nothing is made up for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb
import msgspec

from crashcart.model.plan import Plan
from crashcart.model.recording import INTENT_COLUMNS

OUTCOMES = ("ok", "declined", "sold_out", "failed", "blocked", "gave_up", "unknown")
"""How a purchase ends, from what is nobody's fault to what nobody knows."""

EXCUSED = ("declined", "sold_out")
"""Ends that are an honest answer: neither completed nor lost."""

OBSERVED = "observed"
"""The side of what a fault's own observer saw; not a probe of a proxy."""

_BIN_WIDTHS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_MOST_BINS = 180
_MOST_CELLS = 48
_MOST_PROBE_BINS = 360
_PACE_COLUMNS = {"t": "DOUBLE", "scheduled": "BIGINT", "started": "BIGINT", "late_p99_ms": "DOUBLE"}
_PROBE_COLUMNS = {
    "t": "DOUBLE",
    "proxy": "VARCHAR",
    "side": "VARCHAR",
    "ok": "BOOLEAN",
    "ms": "DOUBLE",
    "value": "DOUBLE",
}

Counts = tuple[int, ...]
Values = tuple[float | None, ...]


class Bins(msgspec.Struct, frozen=True):
    """Equal slices of the run; the last one may be shorter."""

    whole_s: float
    width_s: float

    @property
    def count(self) -> int:
        """How many there are."""
        return max(1, math.ceil(self.whole_s / self.width_s - 1e-9))

    def start_s(self, position: int) -> float:
        """Seconds from t0."""
        return position * self.width_s

    def end_s(self, position: int) -> float:
        """Seconds from t0, at most the whole run."""
        return min(self.whole_s, (position + 1) * self.width_s)

    @property
    def edges_s(self) -> tuple[float, ...]:
        """Their borders, one more than there are bins."""
        return (*(self.start_s(position) for position in range(self.count)), self.whole_s)

    def middle_s(self, position: int) -> float:
        """Seconds from t0."""
        return (self.start_s(position) + self.end_s(position)) / 2

    def per_s(self, counts: Sequence[int]) -> tuple[float, ...]:
        """Counts by bin → rates."""
        return tuple(count / (self.end_s(i) - self.start_s(i)) for i, count in enumerate(counts))


class Lane(msgspec.Struct, frozen=True):
    """One cohort over time. Valid leaves out what was declined or sold out."""

    dimension: str
    value: str
    declared_share: float
    bad: Counts
    valid: Counts
    completed_by_phase: dict[str, tuple[int, int]]
    """Phase → (completed, valid), by the phase that the load gave the purchase."""

    @property
    def name(self) -> str:
        """`network:amex`, as in objectives."""
        return f"{self.dimension}:{self.value}"


class Probes(msgspec.Struct, frozen=True):
    """One watched proxy on one side: median round trip and share of failed probes, by bin."""

    proxy: str
    side: str
    median_ms: Values
    failed_share: Values
    value: Values = ()
    """What an observer measured, in its own unit."""


class Timeline(msgspec.Struct, frozen=True):
    """The run over time. Purchases are counted by the second for which they were planned, unless a field says else."""

    bins: Bins
    offered: Counts
    sent: Counts
    by_outcome: dict[str, Counts]
    completed: Counts
    """Orders accepted, by the second in which the shopper was told."""
    latency_ms: dict[str, Values]
    """`p50`, `p95`, `p99` of the time from the intended click to the last answer, by the second of the click."""
    sessions_scheduled: Counts
    sessions_started: Counts
    late_p99_ms: Values
    cells: Bins
    lanes: tuple[Lane, ...]
    probe_bins: Bins
    probes: tuple[Probes, ...]


def read_timeline(recording: Path, plan: Plan) -> Timeline:
    """Count everything that is drawn. Takes well under a second for a run of half an hour."""
    with duckdb.connect(config={"autoinstall_known_extensions": "false", "threads": "2"}) as connection:
        _table(connection, recording, "pace", _PACE_COLUMNS)
        _table(connection, recording, "evidence", _PROBE_COLUMNS)
        _intents(connection, recording)
        whole_s = _whole_s(connection, plan)
        bins, cells = _bins(whole_s, _MOST_BINS), _bins(whole_s, _MOST_CELLS)
        probe_bins = Bins(whole_s, max(0.25, whole_s / _MOST_PROBE_BINS))
        planned = "planned_s >= 0"
        by_outcome = {
            outcome: _count(connection, bins, "planned_s", f"intents WHERE {planned} AND outcome = ?", outcome)
            for outcome in OUTCOMES
        }
        pace = {
            name: _count(connection, bins, "t", "pace WHERE t >= 0", weight=f"sum({name})")
            for name in ("scheduled", "started")
        }
        return Timeline(
            bins=bins,
            offered=_count(connection, bins, "planned_s", f"intents WHERE {planned}"),
            sent=_count(connection, bins, "planned_s", f"intents WHERE {planned} AND sent_s IS NOT NULL"),
            by_outcome=by_outcome,
            completed=_count(connection, bins, "done_s", "intents WHERE done_s >= 0 AND outcome = 'ok'"),
            latency_ms=_latencies(connection, bins),
            sessions_scheduled=pace["scheduled"],
            sessions_started=pace["started"],
            late_p99_ms=_values(connection, bins, "t", "max(late_p99_ms)", "pace WHERE t >= 0"),
            cells=cells,
            lanes=tuple(_lanes(connection, cells, plan)),
            probe_bins=probe_bins,
            probes=tuple(_probes(connection, probe_bins)),
        )


def _whole_s(connection: duckdb.DuckDBPyConnection, plan: Plan) -> float:
    """The timeline, and the seconds after it in which the last shoppers finish: they count to the last phase."""
    ((last_s,),) = connection.execute("SELECT max(greatest(planned_s, coalesce(done_s, 0))) FROM intents").fetchall()
    end_s = max(plan.duration_s, 1.0)
    settled_s = float(math.ceil(last_s + 1e-6)) if last_s is not None else 0.0
    return max(end_s, min(settled_s, end_s + plan.load.patience_s))


def _bins(whole_s: float, most: int) -> Bins:
    width = next((width for width in _BIN_WIDTHS_S if whole_s / width <= most), whole_s / most)
    return Bins(whole_s, float(width))


def _source(connection: duckdb.DuckDBPyConnection, recording: Path, name: str, columns: dict[str, str]) -> str | None:
    """Parquet where the run got to write it, else its lines, as the view `raw_<name>`; None where there is neither."""
    parquet, lines = recording / f"{name}.parquet", recording / f"{name}.jsonl"
    if parquet.exists():
        relation = connection.read_parquet(str(parquet))
    elif lines.exists() and lines.stat().st_size:
        relation = connection.read_json(
            str(lines), format="newline_delimited", columns=columns, ignore_errors=True, maximum_object_size=1 << 20
        )
    else:
        return None
    relation.create_view(f"raw_{name}")
    return f"raw_{name}"


def _table(connection: duckdb.DuckDBPyConnection, recording: Path, name: str, columns: dict[str, str]) -> None:
    source = _source(connection, recording, name, columns)
    there = {name for name, *_ in connection.execute(f"DESCRIBE {source}").fetchall()} if source else set()
    picked = ", ".join(f"{name if name in there else 'NULL'}::{kind} AS {name}" for name, kind in columns.items())
    nothing = ", ".join(f"NULL::{kind} AS {column}" for column, kind in columns.items())
    connection.execute(
        f"CREATE TEMP TABLE {name} AS SELECT {picked} FROM {source}"  # noqa: S608 - names of ours, no one else's
        if source
        else f"CREATE TEMP TABLE {name} AS SELECT {nothing} LIMIT 0"
    )


_LAST_WORD = """
CREATE TEMP TABLE intents AS
SELECT id, max(phase) AS phase, max(planned_s) AS planned_s, any_value(cohorts) AS cohorts,
       coalesce(max(outcome), CASE WHEN min(sent_s) IS NULL THEN 'blocked' ELSE 'unknown' END) AS outcome,
       min(intended_s) AS intended_s, min(sent_s) AS sent_s, max(done_s) AS done_s, max(latency_ms) AS latency_ms
FROM raw_intents GROUP BY id
"""


def _intents(connection: duckdb.DuckDBPyConnection, recording: Path) -> None:
    """Parquet has one row an intent already; of lines, the last word on each counts, as when they are made Parquet."""
    by_line = {**INTENT_COLUMNS, "cohorts": "JSON", "lines": "JSON"}
    if (recording / "intents.parquet").exists() or not _source(connection, recording, "intents", by_line):
        _table(connection, recording, "intents", INTENT_COLUMNS)
    else:
        connection.execute(_LAST_WORD)


def _rows(
    connection: duckdb.DuckDBPyConnection, bins: Bins, at: str, what: str, source: str, arguments: Sequence[object]
) -> Iterable[tuple[int, tuple[float | None, ...]]]:
    """(bin, values) of the bins that have any. What lies beyond the end of the run is not drawn."""
    condition = "AND" if "WHERE" in source else "WHERE"
    query = (
        f"SELECT floor({at} / ?)::BIGINT AS bin, {what} FROM {source} {condition} {at} < ? "  # noqa: S608 - ours
        "GROUP BY bin ORDER BY bin"
    )
    for bin_, *values in connection.execute(query, [bins.width_s, *arguments, bins.whole_s]).fetchall():
        if bin_ is not None and 0 <= bin_ < bins.count:
            yield int(bin_), tuple(values)


def _count(
    connection: duckdb.DuckDBPyConnection,
    bins: Bins,
    at: str,
    source: str,
    *arguments: object,
    weight: str = "count(*)",
) -> Counts:
    counts = [0] * bins.count
    for position, (number,) in _rows(connection, bins, at, weight, source, arguments):
        counts[position] = int(number or 0)
    return tuple(counts)


def _values(
    connection: duckdb.DuckDBPyConnection, bins: Bins, at: str, what: str, source: str, *arguments: object
) -> Values:
    found: list[float | None] = [None] * bins.count
    for position, (number,) in _rows(connection, bins, at, what, source, arguments):
        found[position] = number
    return tuple(found)


def _latencies(connection: duckdb.DuckDBPyConnection, bins: Bins) -> dict[str, Values]:
    source = "intents WHERE intended_s >= 0 AND sent_s IS NOT NULL AND latency_ms IS NOT NULL"
    return {
        name: _values(connection, bins, "intended_s", f"quantile_cont(latency_ms, {quantile})", source)
        for name, quantile in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }


def _lanes(connection: duckdb.DuckDBPyConnection, cells: Bins, plan: Plan) -> Iterable[Lane]:
    for dimension, values in plan.load.cohorts.items():
        pointer = '$."' + dimension.replace('"', "") + '"'
        for name, declared in values.items():
            member = "intents WHERE planned_s >= 0 AND json_extract_string(cohorts, ?) = ?"
            counted = f"{member} AND outcome NOT IN {EXCUSED}"
            yield Lane(
                dimension=dimension,
                value=name,
                declared_share=declared,
                bad=_count(connection, cells, "planned_s", f"{counted} AND outcome <> 'ok'", pointer, name),
                valid=_count(connection, cells, "planned_s", counted, pointer, name),
                completed_by_phase=_by_phase(connection, counted, pointer, name),
            )


def _by_phase(connection: duckdb.DuckDBPyConnection, source: str, *arguments: object) -> dict[str, tuple[int, int]]:
    query = f"SELECT phase, count(*) FILTER (outcome = 'ok'), count(*) FROM {source} GROUP BY phase"  # noqa: S608 - ours
    return {phase: (done, valid) for phase, done, valid in connection.execute(query, arguments).fetchall()}


def _probes(connection: duckdb.DuckDBPyConnection, bins: Bins) -> Iterable[Probes]:
    pairs = connection.execute(
        "SELECT DISTINCT proxy, side FROM evidence WHERE t >= 0 ORDER BY proxy, side DESC"
    ).fetchall()
    for proxy, side in pairs:
        source = "evidence WHERE t >= 0 AND proxy = ? AND side = ?"
        yield Probes(
            proxy=proxy,
            side=side,
            median_ms=_values(connection, bins, "t", "median(ms)", f"{source} AND ok", proxy, side),
            failed_share=_values(
                connection, bins, "t", "count(*) FILTER (NOT ok)::DOUBLE / count(*)", source, proxy, side
            ),
            value=_values(connection, bins, "t", "median(value)", source, proxy, side) if side == OBSERVED else (),
        )
