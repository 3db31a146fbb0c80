"""SLIs as they stand during a run: for gate, guardrails and those who look on. The judge reads raw samples."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from crashcart.model.plan import Plan, PlannedGuardrail
from crashcart.model.slo import COHORT_LABEL, PHASE_LABEL, Matcher, Selector, Slo
from crashcart.ports import MetricsReader

UNREADABLE_S = 3.0
"""A guardrail that can't be read for so long aborts the run."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Good and settled events, and all of them, of one SLO in one phase and cohort."""

    good: float
    settled: float
    total: float

    @property
    def ratio(self) -> float | None:
        """None without events."""
        return self.good / self.settled if self.settled else None


Samples = dict[tuple[str, str, str], list[tuple[Mapping[str, str], float]]]
"""(metric, cohort, phase) → its series."""


class Slis:
    """Latest counters of every SLO, fetched at once."""

    def __init__(self, plan: Plan, reader: MetricsReader) -> None:
        self._plan = plan
        self.reader = reader
        self._samples: Samples = {}
        """Replaced as a whole: who counts may do so in another thread than who reads."""
        selectors = {s for slo in plan.slos for s in (slo.good, slo.total, slo.settled, slo.excluded) if s}
        self._names = Matcher("__name__", "=~", "|".join(sorted({selector.metric for selector in selectors})))

    def refresh(self, *, cohorts: bool = False) -> None:
        """Read the counters of all shoppers, or of every cohort. ControlPlaneError when Prometheus can't be read."""
        only_all = () if cohorts else (Matcher(COHORT_LABEL, "=", "all"),)
        samples: Samples = {}
        for labels, value in self.reader.latest(Selector("", (self._names, *only_all))):
            key = (labels["__name__"], labels.get(COHORT_LABEL, ""), labels.get(PHASE_LABEL, ""))
            samples.setdefault(key, []).append((labels, value))
        self._samples = samples

    def count(self, slo: Slo, *, phase: str | None, cohort: str = "all") -> Counted:
        """As of the last refresh; `phase=None` is all of them."""
        phases = [phase] if phase is not None else [planned.name for planned in self._plan.phases]
        samples = self._samples
        good, total = _sum(samples, slo.good, phases, cohort), _sum(samples, slo.total, phases, cohort)
        settled = _sum(samples, slo.settled, phases, cohort) if slo.settled else total
        # Declines and sold-out goods are confirmed by the books only afterwards; until then they speak neither way.
        excluded = _sum(samples, slo.excluded, phases, cohort) if slo.excluded else 0.0
        return Counted(good, settled - excluded, total - excluded)


def _sum(samples: Samples, selector: Selector, phases: Sequence[str], cohort: str) -> float:
    return sum(
        value
        for phase in phases
        for labels, value in samples.get((selector.metric, cohort, phase), ())
        if selector.accepts(labels)
    )


@dataclass(slots=True)
class GuardrailWatch:
    """One guardrail, over its own window."""

    rule: PlannedGuardrail
    slo: Slo
    _seen: deque[tuple[float, Counted]] = field(default_factory=deque)
    _readable_at: float | None = None

    def tripped(self, t: float, slis: Slis | None) -> str:
        """Why the run must be aborted; empty while all is well. `slis` is None when Prometheus could not be read."""
        if self._readable_at is None:
            self._readable_at = t
        if slis is not None:
            self._seen.append((t, slis.count(self.slo, phase=None)))
        while len(self._seen) > 1 and self._seen[1][0] <= t - self.rule.duration_s:
            self._seen.popleft()
        if slis is not None and len(self._seen) > 1:
            good = self._seen[-1][1].good - self._seen[0][1].good
            settled = self._seen[-1][1].settled - self._seen[0][1].settled
            if settled > 0 or t - self._seen[0][0] < self.rule.duration_s:
                self._readable_at = t
            if settled > 0:
                full = t - self._seen[0][0] >= self.rule.duration_s * 0.9
                if full and good / settled < self.rule.below:
                    span = f"over the last {self.rule.duration_s:g} s"
                    return f"{self.slo.name} is {good / settled:.3f} {span}, under the guardrail of {self.rule.below:g}"
        if t - self._readable_at > UNREADABLE_S:
            return f"the guardrail on {self.slo.name} could not be read for {t - self._readable_at:.0f} s"
        return ""
