"""Evidence: what probes through and beside the proxies saw of a fault, and whether any real traffic met it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from crashcart.judging.counters import Counters, Series
from crashcart.judging.numbers import percent, rounded
from crashcart.judging.tape import Tape
from crashcart.model.design import SHOPPERS
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.verdict import EvidenceResult

SEEN_SHARE = 0.95
OUTSIDE_SHARE = 0.05
EDGE_S = 0.5
"""A probe that was under way when a fault came or went says nothing about either."""
PROBE_S = 2.0
"""A probe gives up after that: one sent so long before a fault may have met it."""
PROBES_PER_S = 4.0
PROBED_SHARE = 0.5
"""Of the probes that should have been made, on each side; with fewer the effect was not watched."""
PAIRED_WITHIN_S = 0.6
"""A probe through a proxy is held against the one beside it at about the same time."""
CALLS = "link_calls_total"
SHOPPER_EVENTS = "shopper_events_total"
NOT_ON_THE_WIRE = ("short_circuited", "saturated")


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe through a proxy, with its twin beside it."""

    t: float
    through_ok: bool
    through_ms: float
    beside_ok: bool
    beside_ms: float

    def shows(self, effect: Effect) -> bool:
        """Whether this pair shows the effect; for `none`, whether both sides are well and alike."""
        match effect.measure:
            case "added-latency":
                return self.beside_ok and self.through_ms - self.beside_ms >= self._wanted_ms(effect)
            case "unreachable":
                return self.beside_ok and not self.through_ok
            case "instance-down":
                return not self.beside_ok
            case "none":
                alike = self.through_ms - self.beside_ms <= effect.at_least_ms
                return self.through_ok and self.beside_ok and alike
            case _:
                return False

    def _wanted_ms(self, effect: Effect) -> float:
        """A probe gives up after 2 s: what took that long may have been delayed by any more."""
        return min(effect.at_least_ms, PROBE_S * 950 - self.beside_ms)

    @property
    def added_ms(self) -> float:
        """How much longer it took through the proxy."""
        return self.through_ms - self.beside_ms


@dataclass(frozen=True, slots=True)
class Window:
    """When a fault was really there, from the harness's own log. None: it was never done, or never taken back."""

    injected_s: float | None
    """It had taken effect."""
    undoing_s: float | None
    """Its undoing began."""
    undone_s: float | None


def window_of(tape: Tape, fault: PlannedFault) -> Window:
    """From `fault-injected` and `fault-undone`."""
    injected = next((event for event in tape.named("fault-injected") if event.data.get("fault") == fault.id), None)
    undone = next((event for event in tape.named("fault-undone") if event.data.get("fault") == fault.id), None)
    undoing_s = None if undone is None else undone.t - float(undone.data.get("took_s", 0.0))
    return Window(injected.t if injected else None, undoing_s, undone.t if undone else None)


def read_probes(tape: Tape) -> dict[str, tuple[Probe, ...]]:
    """Proxy → pairs of probes in order of time. A probe without a twin near it is left out."""
    sides: dict[tuple[str, str], list[tuple[float, bool, float]]] = {}
    sql = "SELECT proxy, side, t, ok, ms FROM recording.evidence ORDER BY t, proxy, side"
    for proxy, side, t, ok, ms in tape.rows(sql):
        sides.setdefault((proxy, side), []).append((t, ok, ms))
    return {
        proxy: tuple(_paired(through, sides.get((proxy, "beside"), [])))
        for (proxy, side), through in sides.items()
        if side == "through"
    }


def _paired(
    through: Sequence[tuple[float, bool, float]], beside: Sequence[tuple[float, bool, float]]
) -> Sequence[Probe]:
    times = [t for t, _, _ in beside]
    found = []
    for t, ok, ms in through:
        index = bisect_left(times, t)
        near = [beside[i] for i in (index - 1, index) if 0 <= i < len(beside)]
        twin = min(near, key=lambda other: abs(other[0] - t), default=None)
        if twin is not None and abs(twin[0] - t) <= PAIRED_WITHIN_S:
            found.append(Probe(t, ok, ms, twin[1], twin[2]))
    return found


def judge_evidence(
    fault: PlannedFault,
    windows: Mapping[str, Window],
    faults: Sequence[PlannedFault],
    probes: Mapping[str, Sequence[Probe]],
    counters: Counters,
) -> EvidenceResult:
    """Whether one fault acted where it should, only while it should, and on the client's own calls."""
    window = windows[fault.id]
    if window.injected_s is None or window.undoing_s is None or window.undone_s is None:
        what = "it was never injected" if window.injected_s is None else "it was never undone"
        return EvidenceResult(fault.id, fault.title, False, what, 0.0, 0.0, None, 0, 0, fault.min_calls)
    looks = [
        _look(fault, window, _others(fault, faults, windows, proxy), probes.get(proxy, ())) for proxy in fault.watched
    ]
    calls, silent = _calls(fault, counters, window.injected_s, window.undoing_s)
    seen = min((look.seen_share for look in looks), default=0.0)
    outside = max((look.outside_share for look in looks), default=1.0)
    measured = [look.added_ms for look in looks if look.added_ms is not None]
    troubles = [look.trouble for look in looks if look.trouble]
    if not looks:
        troubles.append("nothing watched it")
    if seen < SEEN_SHARE and not troubles:
        troubles.append(f"only {percent(seen)} of the probes during the fault showed it, {percent(SEEN_SHARE)} must")
    if outside > OUTSIDE_SHARE and not troubles:
        troubles.append(f"{percent(outside)} of the probes outside the fault showed it too")
    if silent:
        troubles.append(f"no counter tells of calls on {', '.join(silent)}")
    elif calls < fault.min_calls:
        troubles.append(f"its clients made {calls} calls on it meanwhile, {fault.min_calls} are needed")
    detail = "; ".join(troubles) or _told(fault, seen, outside, measured, calls)
    return EvidenceResult(
        fault=fault.id,
        title=fault.title,
        ok=not troubles,
        detail=detail,
        seen_share=rounded(seen),
        outside_share=rounded(outside),
        measured_ms=rounded(min(measured), 3) if measured and fault.effect.measure == "added-latency" else None,
        samples=sum(look.samples for look in looks),
        calls=calls,
        min_calls=fault.min_calls,
    )


@dataclass(frozen=True, slots=True)
class _Look:
    seen_share: float
    outside_share: float
    added_ms: float | None
    samples: int
    trouble: str


def _look(fault: PlannedFault, window: Window, others: Sequence[tuple[float, float]], probes: Sequence[Probe]) -> _Look:
    assert window.injected_s is not None
    assert window.undoing_s is not None
    assert window.undone_s is not None
    # A delayed probe that was sent shortly before the end gets its answer after it.
    under_way_s = fault.effect.at_least_ms / 1000 if fault.effect.measure == "added-latency" else 0.0
    from_s, to_s = window.injected_s + EDGE_S, window.undoing_s - EDGE_S - under_way_s
    inside = [probe for probe in probes if from_s <= probe.t <= to_s]
    before = [probe for probe in probes if probe.t < window.injected_s - EDGE_S - PROBE_S]
    after = [probe for probe in probes if probe.t > window.undone_s + fault.effect.settle_s + EDGE_S]
    outside = [probe for probe in (*before, *after) if not any(begin <= probe.t <= end for begin, end in others)]
    trouble = ""
    if len(inside) < max(1.0, PROBED_SHARE * PROBES_PER_S * (to_s - from_s)):
        trouble = f"only {len(inside)} probes were made on both sides during the fault"
    elif not before:
        trouble = "no probe was made before the fault"
    elif not after:
        trouble = "no probe was made after the fault"
    quiet = fault.effect.measure == "none"
    return _Look(
        seen_share=_share(inside, fault.effect),
        outside_share=1.0 - _share(outside, fault.effect) if quiet and outside else _share(outside, fault.effect),
        added_ms=median(probe.added_ms for probe in inside) if inside else None,
        samples=len(inside) + len(outside),
        trouble=trouble,
    )


def _share(probes: Sequence[Probe], effect: Effect) -> float:
    return sum(probe.shows(effect) for probe in probes) / len(probes) if probes else 0.0


def _others(
    fault: PlannedFault, faults: Sequence[PlannedFault], windows: Mapping[str, Window], proxy: str
) -> list[tuple[float, float]]:
    """When other faults may have touched what this proxy's probes see."""
    spans = []
    for other in faults:
        window = windows[other.id]
        if other.id == fault.id or window.injected_s is None or proxy not in other.watched:
            continue
        end_s = (window.undone_s or other.end_s) + other.effect.settle_s + EDGE_S
        spans.append((window.injected_s - EDGE_S - PROBE_S, end_s))
    return spans


def _calls(fault: PlannedFault, counters: Counters, from_s: float, to_s: float) -> tuple[int, tuple[str, ...]]:
    """Calls tried on all the fault's links meanwhile; links of which no counter tells."""
    total, silent = 0.0, []
    for link in fault.links:
        series = _series_of(link, counters)
        if not series:
            silent.append(link)
        total += sum(one.grown(from_s, to_s) for one in series)
    return round(total), tuple(silent)


def _series_of(link: str, counters: Counters) -> list[Series]:
    if link.startswith(f"{SHOPPERS}."):
        # Shoppers count what they did and not what they called: each of these is a call at least.
        events = counters.metric(SHOPPER_EVENTS)
        return [one for one in events if one.labels.get("cohort") == "all" and one.labels.get("sli") != "purchase"]
    return [
        one
        for one in counters.metric(CALLS)
        if one.labels.get("link") == link and one.labels.get("outcome") not in NOT_ON_THE_WIRE
    ]


def _told(fault: PlannedFault, seen: float, outside: float, measured: Sequence[float], calls: int) -> str:
    met = f"{calls} calls of its clients met it" if fault.links else "no client's calls were asked for"
    if fault.effect.measure == "none":
        return f"{percent(seen)} of the probes saw no difference; {met}"
    added = f" (+{min(measured):.0f} ms)" if measured and fault.effect.measure == "added-latency" else ""
    return f"{percent(seen)} of the probes during the fault showed it{added}, {percent(outside)} outside it; {met}"
