"""When a fault was really there, and so when its effect must be seen and when it must not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crashcart.judging.tape import Tape
from crashcart.model.plan import PlannedFault

EDGE_S = 0.5
"""A probe that was under way when a fault came or went says nothing about either."""
SLICE_EDGE_S = 0.25
"""The same for a slice of a fault that comes and goes by a schedule: its switching takes milliseconds."""
PROBE_S = 2.0
"""A probe gives up after that: one sent so long before a fault may have met it."""

Spans = tuple[tuple[float, float], ...]
"""(from, to) in seconds from t0; both ends are in it."""


@dataclass(frozen=True, slots=True)
class Window:
    """When a fault was really there, from the harness's own log. None: it was never done, or never taken back."""

    injected_s: float | None
    """It had taken effect."""
    undoing_s: float | None
    """Its undoing began."""
    undone_s: float | None
    injecting_s: float | None = None
    """Its injection began: what is asked to end in good order takes its time."""

    @property
    def began_s(self) -> float | None:
        """From then on its effect may be seen."""
        return self.injected_s if self.injecting_s is None else self.injecting_s


@dataclass(frozen=True, slots=True)
class Times:
    """Where to look for one fault."""

    inside: Spans
    """Its effect must be seen; edges left out."""
    between: Spans
    """It was on, but between two of its slices: its effect must not be seen."""
    before_s: float
    """Until then it must not be seen."""
    after_s: float
    """From then on it must not be seen any more."""
    edge_s: float
    """What was left out at both ends of each span."""
    others: Spans
    """When other faults may have touched what its probes see: nothing is said about these."""

    @property
    def inside_s(self) -> float:
        """Seconds, of all spans."""
        return sum(max(to_s - from_s, 0.0) for from_s, to_s in self.inside)

    def within(self, t: float) -> float | None:
        """The end of the span in which its effect must be seen, where t is in one."""
        return next((to_s for from_s, to_s in self.inside if from_s <= t <= to_s), None)

    def outside(self, t: float) -> bool:
        """Whether its effect must not be seen at t."""
        beside = t < self.before_s or t > self.after_s or _in(self.between, t)
        return beside and not _in(self.others, t)


def window_of(tape: Tape, fault: PlannedFault) -> Window:
    """From `fault-injected` and `fault-undone`."""
    injected = next((event for event in tape.named("fault-injected") if event.data.get("fault") == fault.id), None)
    undone = next((event for event in tape.named("fault-undone") if event.data.get("fault") == fault.id), None)
    undoing_s = None if undone is None else undone.t - float(undone.data.get("took_s", 0.0))
    injecting_s = None if injected is None else injected.t - float(injected.data.get("took_s", 0.0))
    return Window(injected.t if injected else None, undoing_s, undone.t if undone else None, injecting_s)


def times_of(fault: PlannedFault, windows: Mapping[str, Window], faults: Sequence[PlannedFault], seen: str) -> Times:
    """Where to look for a fault that was done and undone. `seen`: the proxy whose probes are looked at, or its id."""
    window = windows[fault.id]
    assert window.injected_s is not None, "judged only when it was injected"
    assert window.began_s is not None, "what was injected has begun"
    assert window.undoing_s is not None, "judged only when it was undone"
    assert window.undone_s is not None, "judged only when it was undone"
    # a delayed probe that was sent shortly before the end gets its answer after it
    under_way_s = fault.effect.at_least_ms / 1000 if fault.effect.measure == "added-latency" else 0.0
    inside: Spans = ((window.injected_s + EDGE_S, window.undoing_s - EDGE_S - under_way_s),)
    between: Spans = ()
    if fault.slices:
        on = [(window.injected_s + from_s, window.injected_s + to_s) for from_s, to_s in fault.slices]
        inside = _shrunk([(from_s, min(to_s, window.undoing_s)) for from_s, to_s in on])
        starts, ends = [from_s for from_s, _ in on], [to_s for _, to_s in on]
        between = _shrunk(list(zip([window.injected_s, *ends], [*starts, window.undoing_s], strict=True)))
    return Times(
        inside=inside,
        between=between,
        before_s=window.began_s - EDGE_S - PROBE_S,
        after_s=window.undone_s + fault.effect.settle_s + EDGE_S,
        edge_s=SLICE_EDGE_S if fault.slices else EDGE_S,
        others=_others(fault, windows, faults, seen),
    )


def _others(fault: PlannedFault, windows: Mapping[str, Window], faults: Sequence[PlannedFault], seen: str) -> Spans:
    spans = []
    for other in faults:
        window = windows[other.id]
        if other.id == fault.id or window.began_s is None or not _may_touch(other, fault, seen):
            continue
        end_s = (window.undone_s or other.end_s) + other.effect.settle_s + EDGE_S
        spans.append((window.began_s - EDGE_S - PROBE_S, end_s))
    return tuple(spans)


def _may_touch(other: PlannedFault, fault: PlannedFault, seen: str) -> bool:
    """Whether another fault may change what is seen of this one: at a proxy and what is behind it, or on its links."""
    touched = {*other.targets, *other.watched}
    if seen != fault.id:
        return bool({seen, behind(seen)} & touched)
    watching = {*fault.targets, *fault.watched, *map(behind, fault.targets)}
    return bool(watching & touched or set(fault.links) & set(other.links))


def behind(name: str) -> str:
    """`checkout[0].inventory[1]` → `inventory[1]`; what is no proxy stays as it is."""
    return name.rpartition(".")[2]


def _shrunk(spans: Sequence[tuple[float, float]]) -> Spans:
    inner = ((from_s + SLICE_EDGE_S, to_s - SLICE_EDGE_S) for from_s, to_s in spans)
    return tuple((from_s, to_s) for from_s, to_s in inner if from_s <= to_s)


def _in(spans: Spans, t: float) -> bool:
    return any(from_s <= t <= to_s for from_s, to_s in spans)
