"""Load honesty: how many sessions the schedule held, how many began, how late; one line a second in `pace.jsonl`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

from crashcart.loadkit.files import JsonLines
from crashcart.loadkit.histograms import Histogram

WRITTEN_AFTER_S = 1.25
"""A second's line is written this long after the second began: what was measured in it has been noted by then."""


@dataclass(slots=True)
class _Op:
    latencies_s: list[float] = field(default_factory=list)
    errors: int = 0


@dataclass(slots=True)
class _Second:
    ops: dict[str, _Op]
    scheduled: int = 0
    late_s: list[float] = field(default_factory=list)


class Pace:
    """Counts by second. Sessions count in the second they were planned for; operations in the second they ended."""

    def __init__(self, out: Path, ops: Sequence[str]) -> None:
        """`ops`: every kind of operation there is."""
        self._file = JsonLines(out / "pace.jsonl")
        self._ops = tuple(ops)
        self._seconds: dict[int, _Second] = {}
        self._next = 0
        self._drawn_until_s = 0.0
        self.lateness = Histogram()
        self.finished_ok = {op: Histogram() for op in ops}
        self.finished_not_ok = {op: Histogram() for op in ops}

    def scheduled(self, planned_s: float) -> None:
        """A session of the schedule is due. It counts whether or not it can be started."""
        self._second(planned_s).scheduled += 1

    def next_due(self, planned_s: float) -> None:
        """The schedule's next session comes at `planned_s`, and none before it."""
        self._drawn_until_s = planned_s

    def started(self, planned_s: float, late_s: float) -> None:
        """It began, `late_s` after its time."""
        self._second(planned_s).late_s.append(late_s)
        self.lateness.record(late_s)

    def finished(self, op: str, *, ok: bool, done_s: float, latency_s: float) -> None:
        """An operation ended."""
        record = self._second(done_s).ops[op]
        record.latencies_s.append(latency_s)
        record.errors += not ok
        (self.finished_ok if ok else self.finished_not_ok)[op].record(latency_s)

    def no_more_arrivals(self) -> None:
        """Nothing is scheduled any more."""
        self._drawn_until_s = float("inf")

    def write(self, now_s: float, in_flight: int) -> None:
        """Write the lines of all seconds that are over, and whose arrivals have all been drawn."""
        while self._next + WRITTEN_AFTER_S <= now_s and self._next + 1 <= self._drawn_until_s:
            self._write_next(in_flight)

    def close(self, now_s: float) -> None:
        """Write what is left and close. Idempotent."""
        while self._seconds or self._next < now_s:
            self._write_next(0)
        self._file.close()

    def _second(self, at_s: float) -> _Second:
        number = max(int(at_s), self._next)
        second = self._seconds.get(number)
        if second is None:
            second = self._seconds[number] = _Second({op: _Op() for op in self._ops})
        return second

    def _write_next(self, in_flight: int) -> None:
        second = self._seconds.pop(self._next, None) or _Second({op: _Op() for op in self._ops})
        late = sorted(second.late_s)
        self._file.append(
            {
                "t": self._next,
                "scheduled": second.scheduled,
                "started": len(late),
                "late_p50_ms": _percentile_ms(late, 0.50),
                "late_p99_ms": _percentile_ms(late, 0.99),
                "late_max_ms": _percentile_ms(late, 1.0),
                "in_flight": in_flight,
                "ops": {
                    name: {
                        "n": len(op.latencies_s),
                        "errors": op.errors,
                        "p50_ms": _percentile_ms(latencies := sorted(op.latencies_s), 0.50),
                        "p99_ms": _percentile_ms(latencies, 0.99),
                    }
                    for name, op in second.ops.items()
                },
            }
        )
        self._next += 1


def _percentile_ms(ordered: Sequence[float], share: float) -> float | None:
    """Nearest rank, in milliseconds; None where there is nothing."""
    if not ordered:
        return None
    return round(ordered[max(0, ceil(len(ordered) * share) - 1)] * 1000, 3)
