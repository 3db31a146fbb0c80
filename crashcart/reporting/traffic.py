"""What the shop's services counted over time: calls on each link, and the shop's own alerts. Counted by DuckDB.

Counters are read as differences between one scrape and the next; one that falls was restarted, and counts from zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import duckdb
import msgspec

from crashcart.recorder import relation
from crashcart.reporting.timeline import Bins, Counts, Values

_CALLS, _SECONDS, _ALERTS = "link_calls_total", "link_call_duration_seconds_bucket", "alert_firing"
_NOT_SENT = ("short_circuited", "saturated")
_QUANTILE = 0.95


class LinkCells(msgspec.Struct, frozen=True):
    """One link over time, its clients' replicas together."""

    link: str
    calls: Counts
    """On the wire."""
    failed: Counts
    """Of these: errors, time-outs, refused."""
    not_sent: Counts
    """Given up before: a breaker was open, or no connection was free."""
    p95_ms: Values
    """Upper edge of its bucket; infinite above the last edge, None without calls."""

    @property
    def wanted(self) -> tuple[int, ...]:
        """Calls that a client wanted to make."""
        return tuple(map(sum, zip(self.calls, self.not_sent, strict=True)))

    @property
    def bad(self) -> tuple[int, ...]:
        """Of these, the ones that came to nothing."""
        return tuple(map(sum, zip(self.failed, self.not_sent, strict=True)))


class Alert(msgspec.Struct, frozen=True):
    """One of the shop's own alerts, while it fired."""

    name: str
    spans: tuple[tuple[float, float], ...]
    """(from, to) in seconds from t0."""


class Traffic(msgspec.Struct, frozen=True):
    """All of it. Empty where the recording holds no such metrics."""

    cells: Bins
    links: tuple[LinkCells, ...] = ()
    alerts: tuple[Alert, ...] = ()


def read_traffic(recording: Path, cells: Bins) -> Traffic:
    """Count what is drawn of links and alerts, in at most a few dozen cells each."""
    source = relation(recording, "series")
    if source is None:
        return Traffic(cells)
    with duckdb.connect(config={"autoinstall_known_extensions": "false", "threads": "2"}) as connection:
        connection.execute(_SAMPLES.format(source=source), [_CALLS, _SECONDS, _ALERTS])
        connection.execute(_GROWN)
        return Traffic(cells, tuple(_links(connection, cells)), tuple(_alerts(connection, cells.whole_s)))


_SAMPLES = "CREATE TEMP TABLE samples AS SELECT metric, labels, t, value FROM ({source}) WHERE metric IN (?, ?, ?)"

_GROWN = """
CREATE TEMP TABLE named AS
SELECT DISTINCT metric, labels, labels::JSON ->> '$.link' AS link, labels::JSON ->> '$.outcome' AS outcome,
       labels::JSON ->> '$.le' AS le, labels::JSON ->> '$.alert' AS alert
FROM samples;
CREATE TEMP TABLE grown AS
SELECT metric, link, outcome, le, t,
       CASE WHEN before IS NULL THEN if(t > 2, value, 0) WHEN value < before THEN value ELSE value - before END AS more
FROM (SELECT *, lag(value) OVER (PARTITION BY metric, labels ORDER BY t) AS before FROM samples)
JOIN named USING (metric, labels)
WHERE link IS NOT NULL;
"""

_BY_CELL = """
SELECT link, least(floor(t / ?)::BIGINT, ?) AS cell, {what} AS kind, sum(more)::BIGINT
FROM grown WHERE metric = ? AND t >= 0 AND more > 0 GROUP BY ALL
"""


def _links(connection: duckdb.DuckDBPyConnection, cells: Bins) -> Iterable[LinkCells]:
    place = [cells.width_s, cells.count - 1]
    calls: dict[str, dict[str, list[int]]] = {}
    for link, cell, outcome, more in connection.execute(_BY_CELL.format(what="outcome"), [*place, _CALLS]).fetchall():
        of_link = calls.setdefault(link, {})
        of_link.setdefault(outcome, [0] * cells.count)[cell] += more
    edges: dict[str, dict[int, list[tuple[float, int]]]] = {}
    for link, cell, le, more in connection.execute(_BY_CELL.format(what="le"), [*place, _SECONDS]).fetchall():
        edge_s = math.inf if le == "+Inf" else float(le)
        edges.setdefault(link, {}).setdefault(cell, []).append((edge_s, more))
    for link, by_outcome in sorted(calls.items()):
        nothing = [0] * cells.count
        not_sent = tuple(map(sum, zip(nothing, *(by_outcome.get(o, nothing) for o in _NOT_SENT), strict=True)))
        sent = [counts for outcome, counts in by_outcome.items() if outcome not in _NOT_SENT]
        bad = [counts for outcome, counts in by_outcome.items() if outcome not in (*_NOT_SENT, "ok")]
        yield LinkCells(
            link=link,
            calls=tuple(map(sum, zip(nothing, *sent, strict=True))),
            failed=tuple(map(sum, zip(nothing, *bad, strict=True))),
            not_sent=not_sent,
            p95_ms=tuple(_quantile_ms(edges.get(link, {}).get(i, [])) for i in range(cells.count)),
        )


def _quantile_ms(buckets: list[tuple[float, int]]) -> float | None:
    """The edge under which that share of the calls lay, from cumulative buckets."""
    total = max((count for _, count in buckets), default=0)
    if not total:
        return None
    return min((edge_s for edge_s, count in buckets if count >= _QUANTILE * total), default=math.inf) * 1000


def _alerts(connection: duckdb.DuckDBPyConnection, whole_s: float) -> Iterable[Alert]:
    """An alert fires where any instance says so, until the sample that says otherwise."""
    query = """
        SELECT alert, labels, t, value > 0 FROM samples JOIN named USING (metric, labels)
        WHERE metric = ? AND alert IS NOT NULL ORDER BY alert, labels, t
    """
    spans: dict[str, list[tuple[float, float]]] = {}
    since: dict[tuple[str, str], float] = {}
    for alert, labels, t, fires in connection.execute(query, [_ALERTS]).fetchall():
        if fires:
            since.setdefault((alert, labels), t)
        elif (alert, labels) in since:
            spans.setdefault(alert, []).append((since.pop((alert, labels)), t))
    for (alert, _), t in since.items():
        spans.setdefault(alert, []).append((t, whole_s))
    for name, found in sorted(spans.items()):
        if joined := tuple(_joined(span for span in found if span[1] > 0)):
            yield Alert(name, joined)


def _joined(spans: Iterable[tuple[float, float]]) -> Iterable[tuple[float, float]]:
    """Spans in order, those that touch made one."""
    joined: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
