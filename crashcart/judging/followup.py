"""Failed orders, and whether the shop wrote to those who had set out to buy: the project's `follow-up.sql`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from crashcart.judging.numbers import rounded
from crashcart.judging.shared import one_query
from crashcart.judging.shoppers import cohort_labels, confirm
from crashcart.judging.tape import Tape, open_tape
from crashcart.model.verdict import FailedOrder, FollowUp

AT_MOST = 1000
"""Failed orders that are listed, the earliest; all of them are counted."""

# Who never came to send has no order that could have failed. Of whom nobody knows the end, the books may.
_FAILED = """
CREATE TABLE recording.failed AS
SELECT id, coalesce(reference, '') AS reference, planned_s, phase, cohorts, outcome,
       coalesce(problem, '') AS problem, total_cents, coalesce(done_s, sent_s) AS failed_s
FROM recording.unsold
WHERE sent_s IS NOT NULL
  AND (outcome = 'failed' OR (outcome = 'unknown' AND coalesce(booked, '') NOT IN ('ok', 'declined', 'sold_out')))
"""
_NOBODY_TOLD = "SELECT NULL::VARCHAR AS key, NULL::TIMESTAMPTZ AS told_at WHERE false"
_TOLD = """
CREATE TABLE recording.told AS
SELECT failed.id AS id, greatest(0, min(epoch(told_at)) - ? - any_value(failed_s)) AS after_s
FROM ({sql}
) AS told(key, told_at) JOIN recording.failed AS failed ON failed.id = told.key
WHERE told_at IS NOT NULL
GROUP BY failed.id
"""
_LIST = """
SELECT failed.*, after_s FROM recording.failed AS failed LEFT JOIN recording.told AS told ON told.id = failed.id
ORDER BY planned_s, failed.id LIMIT ?
"""
_GROUPS = """
SELECT phase, cohorts, after_s <= ? AS in_time, count(*)
FROM recording.failed AS failed LEFT JOIN recording.told AS told ON told.id = failed.id GROUP BY ALL
"""
_SUMMED = """
SELECT count(*), count(after_s), quantile_disc(after_s, 0.5), quantile_disc(after_s, 0.99)
FROM recording.failed AS failed LEFT JOIN recording.told AS told ON told.id = failed.id
"""


@dataclass(frozen=True)
class FollowUps:
    """Failed orders, counted. `trouble`: why nobody can say who was told; empty where somebody can."""

    tape: Tape
    trouble: str

    def count(self, phase: str, cohort: str, within_s: float) -> tuple[int, int]:
        """(told within so long, all) failed orders of a phase and cohort."""
        good = total = 0
        for planned, cohorts, in_time, n in self.tape.rows(_GROUPS, [within_s]):
            if planned == phase and cohort in cohort_labels(cohorts or "{}"):
                total += n
                good += n if in_time else 0
        return good, total

    def summed_up(self) -> FollowUp | None:
        """None where the project's books say nothing of follow-ups, or could not be asked."""
        if self.trouble:
            return None
        failed, told, p50_s, p99_s = self.tape.rows(_SUMMED)[0]
        return FollowUp(failed, told, _rounded(p50_s), _rounded(p99_s))

    def orders(self, at_most: int = AT_MOST) -> tuple[FailedOrder, ...]:
        """The earliest failed orders, by the time they were planned for."""
        return tuple(
            FailedOrder(
                intent=key,
                reference=reference,
                planned_s=planned_s,
                cohorts=msgspec.json.decode(cohorts or "{}", type=dict[str, str]),
                outcome=outcome,
                problem=problem,
                total_cents=total_cents,
                told_after_s=_rounded(after_s),
            )
            for key, reference, planned_s, _, cohorts, outcome, problem, total_cents, _, after_s in self.tape.rows(
                _LIST, [at_most]
            )
        )


def read_follow_ups(tape: Tape) -> FollowUps:
    """Needs what `confirm` makes."""
    import duckdb

    tape.database.execute(_FAILED)
    sql = tape.plan.truth.follow_up_sql
    started = tape.first("load-started")
    trouble = "" if sql.strip() else "no data: the project has no follow-up.sql"
    if not trouble and started is None:
        trouble = "no data: the load never started"
    try:
        query = _NOBODY_TOLD if trouble else one_query(tape.database, sql)
        tape.database.execute(_TOLD.format(sql=query), [float(started.data["t0_wall"]) if started else 0.0])
    except duckdb.Error as error:
        trouble = tape.why_unreadable(error)
        tape.database.execute(_TOLD.format(sql=_NOBODY_TOLD), [0.0])
    return FollowUps(tape, trouble)


def failed_orders(recording_dir: Path, at_most: int = AT_MOST) -> tuple[FailedOrder, ...]:
    """The earliest failed orders of a recording, and when each shopper was written to. Errors as of `judge`."""
    with open_tape(recording_dir) as tape:
        confirm(tape)
        return read_follow_ups(tape).orders(at_most)


def _rounded(after_s: float | None) -> float | None:
    return None if after_s is None else rounded(after_s, 3)
