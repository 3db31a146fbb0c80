"""What the shoppers wrote down: intents by phase, cohort, second and outcome, and which refusals the books confirm."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from functools import lru_cache
from itertools import accumulate

import msgspec

from crashcart.judging.shared import one_query
from crashcart.judging.tape import Tape
from crashcart.recorder.reading import quoted

REFUSED = ("declined", "sold_out")
"""Refusals of business: neither good nor bad where the books confirm them."""
OUTCOMES = ("ok", "declined", "sold_out", "failed", "unknown", "gave_up", "blocked")
LOAD_PROBLEMS = ("load-not-started", "load-crashed")
"""Problems of an intent that are the load's own doing. Not `load-stopped`: who waits at the end waits for the shop."""

# Few purchases come to nothing: set apart once, nobody else's keys, lines and words need be read after that.
_OTHERS = "CREATE TABLE recording.others AS FROM intents WHERE outcome IS DISTINCT FROM 'ok'"
_CONFIRMED = """
CREATE TABLE recording.confirmed AS
SELECT DISTINCT others.id AS id, others.outcome AS told, books.outcome AS booked
FROM ({sql}) AS books(intent_id, outcome) JOIN recording.others AS others ON others.id = books.intent_id
WHERE others.outcome = 'unknown' OR (others.outcome IN ('declined', 'sold_out') AND others.outcome = books.outcome)
"""
_NOTHING_CONFIRMED = "CREATE TABLE recording.confirmed (id VARCHAR, told VARCHAR, booked VARCHAR)"
_UNSOLD = """
CREATE VIEW recording.unsold AS
SELECT others.*, booked, confirmed.id IS NOT NULL AND outcome <> 'unknown' AS excluded
FROM recording.others AS others LEFT JOIN recording.confirmed AS confirmed ON confirmed.id = others.id
"""
_ENDED = """
CREATE VIEW recording.ended AS
SELECT *, NULL::VARCHAR AS booked, false AS excluded FROM intents WHERE outcome = 'ok' UNION ALL FROM recording.unsold
"""
_GROUPS = """
SELECT phase, {meant} AS meant, cohorts, outcome, excluded, sent_s IS NOT NULL AS sent, count(*) AS n
FROM recording.ended GROUP BY ALL
"""
_SECONDS = """
SELECT floor(planned_s)::BIGINT AS second, outcome = 'ok' AS good, count(*) AS n
FROM recording.ended WHERE NOT excluded GROUP BY ALL
"""
_BY_SECOND = """
SELECT cohorts, floor(planned_s)::BIGINT AS planned, floor(intended_s)::BIGINT AS meant, outcome, excluded,
       count(*) AS n
FROM recording.ended WHERE planned_s >= ? OR intended_s >= ? GROUP BY ALL
"""


@dataclass(frozen=True, slots=True)
class Group:
    """So many intents that are alike in everything that is counted."""

    phase: str
    """Of the planned time."""
    meant_phase: str
    """Of the first intended click; empty where there was none."""
    cohorts: tuple[str, ...]
    """`all` and `network:amex`, …"""
    outcome: str
    excluded: bool
    """Declined or sold out, and confirmed."""
    sent: bool
    n: int


class Tallied:
    """So many a second, added up so that any span is told at once."""

    def __init__(self, counts: Mapping[int, int]) -> None:
        self._seconds = sorted(counts)
        self._sums = list(accumulate((counts[second] for second in self._seconds), initial=0))

    def between(self, start_s: int, end_s: int) -> int:
        """From one second to before another."""
        first, last = bisect_left(self._seconds, start_s), bisect_left(self._seconds, end_s)
        return self._sums[last] - self._sums[first] if last > first else 0


NOTHING = Tallied({})


@dataclass(frozen=True)
class Shoppers:
    """All intents, counted."""

    groups: tuple[Group, ...]
    unconfirmable: str
    """Why the books could not be asked about refusals; empty where they could."""
    offered: Tallied
    """By the second of the planned time, without those that were refused and confirmed."""
    good: Tallied
    """By the second of the planned time, those that ended ok."""

    def count(self, keep: Callable[[Group], bool] = lambda _: True) -> int:
        """Intents of which `keep` is true."""
        return sum(group.n for group in self.groups if keep(group))

    def planned_in(self, phase: str, outcome: str | None = None) -> Counter[str]:
        """Cohort → intents planned for a phase, all of them or those that ended so."""
        return self.by_cohort(lambda group: group.phase == phase and outcome in (None, group.outcome))

    def by_cohort(self, keep: Callable[[Group], bool]) -> Counter[str]:
        """Cohort → intents of which `keep` is true."""
        found: Counter[str] = Counter()
        for group in self.groups:
            if keep(group):
                for cohort in group.cohorts:
                    found[cohort] += group.n
        return found


def read_shoppers(tape: Tape) -> Shoppers:
    """Ask the books about refusals, then count all intents."""
    unconfirmable = confirm(tape)
    groups = [
        Group(phase or "", meant or "", cohort_labels(cohorts or "{}"), outcome, bool(excluded), bool(sent), n)
        for phase, meant, cohorts, outcome, excluded, sent, n in tape.rows(_GROUPS.format(meant=_meant(tape)))
    ]
    offered: Counter[int] = Counter()
    good: Counter[int] = Counter()
    for second, is_good, n in tape.rows(_SECONDS):
        offered[second] += n
        good[second] += n if is_good else 0
    return Shoppers(tuple(sorted(groups, key=astuple)), unconfirmable, Tallied(offered), Tallied(good))


@dataclass(frozen=True)
class BySecond:
    """Cohort → intents by the second."""

    offered: Mapping[str, Tallied]
    """By the planned second, refused and confirmed ones left out."""
    good: Mapping[str, Tallied]
    """By the planned second, those that ended ok."""
    confirmed: Mapping[str, Tallied]
    """By the second of the first intended click, refused and confirmed ones."""


def read_by_second(tape: Tape, since_s: float) -> BySecond:
    """Every cohort's intents from a time on."""
    offered: defaultdict[str, Counter[int]] = defaultdict(Counter)
    good: defaultdict[str, Counter[int]] = defaultdict(Counter)
    confirmed: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for cohorts, planned, meant, outcome, excluded, n in tape.rows(_BY_SECOND, [since_s, since_s]):
        for cohort in cohort_labels(cohorts or "{}"):
            if excluded and meant is not None:
                confirmed[cohort][meant] += n
            if planned >= since_s and not excluded:
                offered[cohort][planned] += n
                good[cohort][planned] += n if outcome == "ok" else 0
    return BySecond(*({cohort: Tallied(n) for cohort, n in one.items()} for one in (offered, good, confirmed)))


def confirm(tape: Tape) -> str:
    """Ask the books what became of purchases that did not end ok.

    Makes `recording.ended`, all intents with what is `booked` of them and who is `excluded`, and of these
    `recording.unsold`, which are not ok. Gives why nothing is confirmed, where the books could not be asked.
    """
    tape.database.execute(_OTHERS)
    why = _confirm(tape)
    tape.database.execute(_UNSOLD)
    tape.database.execute(_ENDED)
    return why


def _confirm(tape: Tape) -> str:
    import duckdb

    sql = tape.plan.truth.exclusions_sql
    if not sql.strip():
        tape.database.execute(_NOTHING_CONFIRMED)
        return "the project has no exclusions.sql"
    try:
        tape.database.execute(_CONFIRMED.format(sql=one_query(tape.database, sql) + "\n"))
    except duckdb.Error as error:
        why = tape.why_unreadable(error)
        tape.database.execute(_NOTHING_CONFIRMED)
        return why
    return ""


def _meant(tape: Tape) -> str:
    """The phase of `intended_s`, as the load labels it: what was meant for after the last phase belongs to that."""
    cases = " ".join(f"WHEN intended_s < {phase.end_s!r} THEN {quoted(phase.name)}" for phase in tape.plan.phases)
    return f"CASE WHEN intended_s IS NULL THEN '' {cases} ELSE {quoted(tape.plan.phases[-1].name)} END"


@lru_cache(maxsize=4096)
def cohort_labels(cohorts: str) -> tuple[str, ...]:
    """`{"network": "amex"}` → `all`, `network:amex`."""
    values: dict[str, str] = msgspec.json.decode(cohorts, type=dict[str, str])
    return ("all", *(f"{dimension}:{value}" for dimension, value in sorted(values.items())))
