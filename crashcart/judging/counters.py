"""Counters as they were scraped: differences over the run, with every reset seen."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from crashcart.judging.tape import Tape
from crashcart.model.slo import COHORT_LABEL, PHASE_LABEL, Selector

# A sample that is infinite, or no number at all, is written down as null: JSON has no other word for it.
# Where there are two of one moment the greater comes first, so that the series is seen to fall.
_SERIES = """
SELECT metric, labels, list(t ORDER BY t, value DESC) AS times,
       list(coalesce(value, 'nan'::DOUBLE) ORDER BY t, value DESC) AS readings
FROM recording.series WHERE list_contains(?, metric) GROUP BY metric, labels ORDER BY metric, labels
"""


@dataclass(frozen=True, slots=True)
class Series:
    """One series' samples, in order of time. Runs of equal values hold their first and last sample."""

    metric: str
    labels: dict[str, str]
    times: tuple[float, ...]
    """Seconds from t0."""
    values: tuple[float, ...]

    def at(self, t_s: float) -> float:
        """The last value scraped until then; 0 before the first."""
        index = bisect_right(self.times, t_s)
        return self.values[index - 1] if index else 0.0

    def between(self, from_s: float, to_s: float) -> float:
        """By how much it grew from what it was last seen at until `from_s` to what it was last seen at until `to_s`.

        A child of a counter is born with its first event: before it is scraped for the first time, it was 0. One that
        begins again at 0 counts from there on. What is no number tells nothing. Two windows that meet count as one.
        """
        first, last = bisect_right(self.times, from_s), bisect_right(self.times, to_s)
        before = next((value for value in reversed(self.values[:first]) if math.isfinite(value)), 0.0)
        readings = [before, *(value for value in self.values[first:last] if math.isfinite(value))]
        return sum(later - earlier if later >= earlier else later for earlier, later in pairwise(readings))

    def grown(self, since_s: float = -math.inf, until_s: float = math.inf) -> float:
        """By how much it grew between the first sample from `since_s` on and the last until `until_s`.

        A counter that begins again at 0 counts from there on. What is no number tells nothing.
        """
        samples = zip(self.times, self.values, strict=True)
        inside = [v for t, v in samples if since_s <= t <= until_s and math.isfinite(v)]
        return sum(later - earlier if later >= earlier else later for earlier, later in pairwise(inside))

    @property
    def fell(self) -> bool:
        """Whether it ever went down, or was no number: whoever counts here was started again."""
        return any(later < earlier for earlier, later in pairwise(self.values)) or any(
            not math.isfinite(v) for v in self.values
        )


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter's growth in one phase and cohort. `trouble`: why it is no number to judge by; empty where it is one."""

    n: int
    trouble: str = ""


class Counters:
    """All series of some metrics."""

    def __init__(self, series: Iterable[Series]) -> None:
        self._by_metric: dict[str, list[Series]] = {}
        for one in series:
            self._by_metric.setdefault(one.metric, []).append(one)

    def select(self, selector: Selector) -> tuple[Series, ...]:
        """Series that a selector selects."""
        return tuple(one for one in self._by_metric.get(selector.metric, ()) if selector.accepts(one.labels))

    def metric(self, name: str) -> tuple[Series, ...]:
        """All series of a metric."""
        return tuple(self._by_metric.get(name, ()))

    def in_phase(self, selector: Selector, phase: str, cohort: str, start_s: float) -> Counted:
        """How much was counted for a phase and cohort. There must have been a 0 before the phase began."""
        found = self.of(selector, cohort, phase)
        if not found:
            return Counted(0, f"no data: {selector.metric} has no series for {cohort} in {phase}")
        if any(one.fell for one in found):
            return Counted(0, f"{selector.metric} was reset during the run")
        if any(one.times[0] >= start_s or one.values[0] != 0 for one in found):
            return Counted(0, f"no data before: {selector.metric} was not scraped at 0 before {phase} began")
        return Counted(round(sum(one.values[-1] - one.values[0] for one in found)))

    def of(self, selector: Selector, cohort: str, phase: str | None = None) -> tuple[Series, ...]:
        """A selector's series of one cohort, of one phase or of all."""
        return tuple(
            one
            for one in self._by_metric.get(selector.metric, ())
            if one.labels.get(COHORT_LABEL) == cohort
            and (phase is None or one.labels.get(PHASE_LABEL) == phase)
            and selector.accepts(one.labels)
        )


def read_counters(tape: Tape, metrics: Sequence[str]) -> Counters:
    """All samples of these metrics."""
    return Counters(
        Series(metric, msgspec.json.decode(labels, type=dict[str, str]), tuple(times), tuple(readings))
        for metric, labels, times, readings in tape.rows(_SERIES, [sorted(set(metrics))])
    )
