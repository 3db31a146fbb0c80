"""The shoppers' own metrics, for Prometheus to scrape each second.

Counted in plain lists and written out by hand: `prometheus_client` would take 24 ms to write these 4,000 lines, every
second, which is more than the pages of a second cost; this takes under 2. Every child exists from the start, at 0.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from crashcart.loadkit.shoppers import cohort_labels
from crashcart.model.recording import LoadCount

LATENCY_EDGES_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
LATENESS_EDGES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)

_HELP = {
    "shopper_intended_total": ("counter", "Purchase intents by planned time."),
    "shopper_events_total": ("counter", "Finished operations and purchases, by outcome."),
    "shopper_latency_seconds": ("histogram", "From intended time to the last answer; failed events only in +Inf."),
    "shopper_failures_total": ("counter", "Failed requests; honest: reference, contact and a true word on retrying."),
    "shopper_sessions_scheduled_total": ("counter", "Sessions that were due."),
    "shopper_sessions_started_total": ("counter", "Sessions that began."),
    "shopper_sessions_not_started_total": ("counter", "Sessions that the load could not begin: too many under way."),
    "shopper_sessions_crashed_total": ("counter", "Sessions that ended in an error of the load's own."),
    "shopper_double_clicks_total": ("counter", "Orders clicked twice, by what the two clicks were told."),
    "shopper_lateness_seconds": ("histogram", "How late sessions began, after their planned time."),
    "shopper_in_flight": ("gauge", "Sessions under way."),
}

_CLICKED_TWICE = ("same", "different", "contradicted", "one-answer", "no-answer")


def _labels(**labels: str) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class _Counters:
    """One counter a cohort, for one combination of the other labels."""

    def __init__(self, name: str, cohorts: Sequence[str], **labels: str) -> None:
        self._name, self._cohorts, self._labels = name, cohorts, labels
        self._prefixes = [f"{name}{_labels(**labels, cohort=cohort)} " for cohort in cohorts]
        self.values = [0] * len(cohorts)

    def count(self, indices: Sequence[int]) -> None:
        for index in indices:
            self.values[index] += 1

    def lines(self) -> list[str]:
        return [f"{prefix}{value}" for prefix, value in zip(self._prefixes, self.values, strict=True)]

    def counts(self) -> Iterator[LoadCount]:
        for cohort, value in zip(self._cohorts, self.values, strict=True):
            yield LoadCount(self._name, {**self._labels, "cohort": cohort}, value)


class _Buckets:
    """One histogram: counts between edges (the last is beyond all edges) and the sum of what fell between them."""

    def __init__(self, name: str, edges: Sequence[float], **labels: str) -> None:
        self._edges = edges
        self._name, self._labels = name, labels
        self._bounds = bounds = [f"{edge:g}" for edge in edges] + ["+Inf"]
        self._prefixes = [f"{name}_bucket{_labels(**labels, le=bound)} " for bound in bounds]
        self._count_prefix, self._sum_prefix = (f"{name}_{part}{_labels(**labels)} " for part in ("count", "sum"))
        self._counts = [0] * len(bounds)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._edges, seconds)] += 1
        self._sum += seconds

    def observe_endless(self) -> None:
        self._counts[-1] += 1

    def lines(self) -> list[str]:
        lines, total = [], 0
        for prefix, count in zip(self._prefixes, self._counts, strict=True):
            total += count
            lines.append(f"{prefix}{total}")
        lines.append(f"{self._count_prefix}{total}")
        lines.append(f"{self._sum_prefix}{self._sum:.6f}")
        return lines

    def counts(self) -> Iterator[LoadCount]:
        for bound, total in zip(self._bounds, accumulate(self._counts), strict=True):
            yield LoadCount(f"{self._name}_bucket", {**self._labels, "le": bound}, total)
        yield LoadCount(f"{self._name}_count", self._labels, sum(self._counts))


class ShopperMetrics:
    """All of it. An outcome, phase or cohort that was not declared is a KeyError: our mistake, not the shop's."""

    def __init__(
        self,
        *,
        cohorts: Mapping[str, Mapping[str, object]],
        phases: Sequence[str],
        outcomes: Mapping[str, Sequence[str]],
    ) -> None:
        """`cohorts`: dimension → value → share. `outcomes`: SLI → every outcome it can have."""
        labels = cohort_labels(cohorts)
        self._index = {label: index for index, label in enumerate(labels)}
        phases = tuple(dict.fromkeys(phases))
        self._intended = {phase: _Counters("shopper_intended_total", labels, phase=phase) for phase in phases}
        self._events = {
            (sli, outcome, phase): _Counters("shopper_events_total", labels, sli=sli, outcome=outcome, phase=phase)
            for sli, known in outcomes.items()
            for outcome in known
            for phase in phases
        }
        self._latency = {
            (sli, phase): [
                _Buckets("shopper_latency_seconds", LATENCY_EDGES_S, sli=sli, cohort=label, phase=phase)
                for label in labels
            ]
            for sli in outcomes
            for phase in phases
        }
        self._failures = {
            (honest, phase): _Counters("shopper_failures_total", labels, honest="yes" if honest else "no", phase=phase)
            for honest in (True, False)
            for phase in phases
        }
        self._started = dict.fromkeys(phases, 0)
        self._double_clicks = dict.fromkeys(_CLICKED_TWICE, 0)
        self._lateness = _Buckets("shopper_lateness_seconds", LATENESS_EDGES_S)
        self.scheduled = 0
        self.started = 0
        self.not_started = 0
        self.crashed = 0
        self.in_flight = 0

    def indices(self, cohorts: Mapping[str, str]) -> tuple[int, ...]:
        """Where a shopper counts: everybody, and each of their cohorts."""
        return (0, *(self._index[f"{dimension}:{value}"] for dimension, value in cohorts.items()))

    def intended(self, phase: str, indices: Sequence[int]) -> None:
        """A purchase intent was drawn."""
        self._intended[phase].count(indices)

    def event(self, sli: str, outcome: str, phase: str, indices: Sequence[int], latency_s: float | None) -> None:
        """Something ended. `latency_s`: from intended time; None counts as over every threshold (it failed)."""
        self._events[sli, outcome, phase].count(indices)
        rows = self._latency[sli, phase]
        for index in indices:
            if latency_s is None:
                rows[index].observe_endless()
            else:
                rows[index].observe(latency_s)

    def failure(self, phase: str, indices: Sequence[int], honest: bool) -> None:
        """A request failed."""
        self._failures[honest, phase].count(indices)

    def session_started(self, phase: str, late_s: float) -> None:
        """A session began."""
        self.started += 1
        self._started[phase] += 1
        self._lateness.observe(max(late_s, 0.0))

    def double_click(self, result: str) -> None:
        """Two clicks with one key were answered."""
        self._double_clicks[result] += 1

    @property
    def different_orders(self) -> int:
        """Double clicks that were told two different orders: each is a double order."""
        return self._double_clicks["different"]

    def render(self) -> bytes:
        """Prometheus's text format 0.0.4."""
        lines: list[str] = []
        self._family(lines, "shopper_intended_total", self._intended.values())
        self._family(lines, "shopper_events_total", self._events.values())
        self._family(lines, "shopper_latency_seconds", (row for rows in self._latency.values() for row in rows))
        self._family(lines, "shopper_failures_total", self._failures.values())
        self._plain(lines, "shopper_sessions_scheduled_total", {"": self.scheduled})
        self._plain(
            lines, "shopper_sessions_started_total", {_labels(phase=name): n for name, n in self._started.items()}
        )
        self._plain(lines, "shopper_sessions_not_started_total", {"": self.not_started})
        self._plain(lines, "shopper_sessions_crashed_total", {"": self.crashed})
        self._plain(
            lines, "shopper_double_clicks_total", {_labels(result=name): n for name, n in self._double_clicks.items()}
        )
        self._family(lines, "shopper_lateness_seconds", (self._lateness,))
        self._plain(lines, "shopper_in_flight", {"": self.in_flight})
        return ("\n".join(lines) + "\n").encode()

    def counts(self) -> Iterator[LoadCount]:
        """Every child of every counter with cohorts, buckets or phases, as it stands and as it should be scraped."""
        for family in (self._intended, self._events, self._failures):
            for row in family.values():
                yield from row.counts()
        for buckets in (*(row for rows in self._latency.values() for row in rows), self._lateness):
            yield from buckets.counts()
        for phase, started in self._started.items():
            yield LoadCount("shopper_sessions_started_total", {"phase": phase}, started)

    def _family(self, lines: list[str], name: str, rows: Iterable[_Counters | _Buckets]) -> None:
        lines.extend(_header(name))
        for row in rows:
            lines.extend(row.lines())

    def _plain(self, lines: list[str], name: str, values: Mapping[str, int]) -> None:
        lines.extend(_header(name))
        lines.extend(f"{name}{labels} {value}" for labels, value in values.items())


def _header(name: str) -> tuple[str, str]:
    kind, text = _HELP[name]
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"
