"""Objectives in the order in which people look at them: phase, SLO, worst cohort first."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from crashcart.model.verdict import ObjectiveResult, Outcome

EVERYONE = "all"
_ORDER = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASS: 2}


class SloGroup(msgspec.Struct, frozen=True):
    """One SLO in one phase, with all its cohorts."""

    phase: str
    slo: str
    title: str
    rows: tuple[ObjectiveResult, ...]
    """Worst first: failed, inconclusive, passed; each by margin."""

    @property
    def everyone(self) -> ObjectiveResult | None:
        """The row of all shoppers."""
        return next((row for row in self.rows if row.cohort == EVERYONE), None)

    @property
    def worst(self) -> ObjectiveResult:
        """The cohort with the least margin; all shoppers' row where it is the only one."""
        return next((row for row in self.rows if row.cohort != EVERYONE), self.rows[0])

    @property
    def outcome(self) -> Outcome:
        """The worst of its rows."""
        return self.rows[0].outcome

    @property
    def shown(self) -> tuple[ObjectiveResult, ...]:
        """Rows that are never folded away: what is not met, the worst cohort, all shoppers."""
        always = (self.worst, self.everyone)
        return tuple(row for row in self.rows if row.outcome is not Outcome.PASS or row in always)

    @property
    def folded(self) -> tuple[ObjectiveResult, ...]:
        """The other cohorts."""
        shown = self.shown
        return tuple(row for row in self.rows if row not in shown)


def group_objectives(objectives: Iterable[ObjectiveResult]) -> tuple[SloGroup, ...]:
    """Grouped by phase and SLO, in the order of their first appearance."""
    groups: dict[tuple[str, str], list[ObjectiveResult]] = {}
    for one in objectives:
        groups.setdefault((one.phase, one.slo), []).append(one)
    return tuple(
        SloGroup(phase, slo, rows[0].title, tuple(sorted(rows, key=_badness))) for (phase, slo), rows in groups.items()
    )


def _badness(row: ObjectiveResult) -> tuple[int, float, str]:
    return (_ORDER[row.outcome], row.margin if row.margin is not None else math.inf, row.cohort)
