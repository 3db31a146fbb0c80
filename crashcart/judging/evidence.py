"""Evidence: whether a fault acted where it should, only while it should, and whether any real traffic met it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crashcart.judging.counters import Counters, Series
from crashcart.judging.counting import Census, take_census
from crashcart.judging.looking import Look, Samples, look, observe, probes_per_s, read_samples
from crashcart.judging.numbers import counted as numbered
from crashcart.judging.numbers import percent, rounded
from crashcart.judging.shares import unlike
from crashcart.judging.windows import EDGE_S, Window, times_of, window_of
from crashcart.model.design import SHOPPERS
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.verdict import EvidenceResult

__all__ = ["EDGE_S", "OUTSIDE_SHARE", "SEEN_SHARE", "Window", "judge_evidence", "metrics", "read_samples", "window_of"]

SEEN_SHARE = 0.95
OUTSIDE_SHARE = 0.05
WEAK = 0.001
"""Chance leaves so few long delays in one of a thousand faults."""
CALLS = "link_calls_total"
STARTED = "link_calls_started_total"
"""Optional: the same calls, counted when they begin. One that hangs in a fault ends only when it is given up."""
SHOPPER_EVENTS = "shopper_events_total"
INSTANCE = "instance"
"""Label by which Prometheus says whose counter it is."""
NOT_ON_THE_WIRE = ("short_circuited", "saturated")


def metrics(faults: Sequence[PlannedFault]) -> tuple[str, ...]:
    """Counters that evidence is read from."""
    counted = [fault.effect.counted for fault in faults if fault.effect.counted is not None]
    return (CALLS, STARTED, SHOPPER_EVENTS, *(selector.metric for one in counted for selector in (one.part, one.whole)))


def judge_evidence(
    fault: PlannedFault,
    windows: Mapping[str, Window],
    faults: Sequence[PlannedFault],
    samples: Samples,
    counters: Counters,
) -> EvidenceResult:
    """What one fault is known to have done."""
    window = windows[fault.id]
    if window.injected_s is None or window.undoing_s is None or window.undone_s is None:
        what = "it was never injected" if window.injected_s is None else "it was never undone"
        return EvidenceResult(fault.id, fault.title, False, what, 0.0, 0.0, None, 0, 0, fault.min_calls)
    calls, silent = _calls(fault, counters, window.injected_s, window.undoing_s)
    if fault.effect.measure == "counted":
        others = times_of(fault, windows, faults, fault.id).others
        census = take_census(fault, window, others, counters)
        return _counted(fault, census, calls, _unmet(fault, calls, silent))
    looks = _looks(fault, windows, faults, samples)
    seen = min((one.seen_share for one in looks), default=0.0)
    outside = max((one.outside_share for one in looks), default=1.0)
    troubles = [one.trouble for one in looks if one.trouble]
    things = "looks of its observer" if fault.effect.measure == "observed" else "probes"
    if not looks:
        troubles.append("nothing watched it")
    if seen < SEEN_SHARE and not troubles:
        troubles.append(f"only {percent(seen)} of the {things} during the fault showed it, {percent(SEEN_SHARE)} must")
    if outside > OUTSIDE_SHARE and not troubles:
        troubles.append(f"{percent(outside)} of the {things} outside the fault showed it too")
    if not troubles:
        troubles += _weak(fault.effect, looks) or _unlike(fault.effect, looks)
    if not troubles:
        troubles += [one.at_its_ends for one in looks if one.at_its_ends][:1]
    if troubles:
        troubles[0] += _measured(fault.effect, looks)
    troubles += _unmet(fault, calls, silent)
    measured = [one.measured for one in looks if one.measured is not None]
    return EvidenceResult(
        fault=fault.id,
        title=fault.title,
        ok=not troubles,
        detail="; ".join(troubles) or _told(fault, seen, outside, looks, _met(fault, calls)),
        seen_share=rounded(seen),
        outside_share=rounded(outside),
        measured_ms=rounded(min(measured), 3) if measured and fault.effect.measure == "added-latency" else None,
        samples=sum(one.samples for one in looks),
        calls=calls,
        min_calls=fault.min_calls,
    )


def _weak(effect: Effect, looks: Sequence[Look]) -> Sequence[str]:
    """Single delays may be short where they vary; not so many of them that chance does not explain it."""
    if all(one.long_enough >= WEAK for one in looks):
        return []
    return [f"too few of the probes during the fault were later by {effect.typical_ms:g} ms or more: half must"]


def _unlike(effect: Effect, looks: Sequence[Look]) -> Sequence[str]:
    """One look sees too few to tell a share from half of it; all together do."""
    if not effect.share:
        return []
    return [why for one in looks if one.counted is not None and (why := unlike(one.counted, effect.share))]


def _looks(
    fault: PlannedFault, windows: Mapping[str, Window], faults: Sequence[PlannedFault], samples: Samples
) -> Sequence[Look]:
    if fault.effect.measure == "observed":
        return [observe(times_of(fault, windows, faults, fault.id), samples.glances.get(fault.id, ()))]
    return [
        look(
            fault,
            times_of(fault, windows, faults, proxy),
            samples.probes.get(proxy, ()),
            probes_per_s(proxy, faults),
        )
        for proxy in fault.watched
    ]


def _counted(fault: PlannedFault, census: Census, calls: int, unmet: Sequence[str]) -> EvidenceResult:
    counted = fault.effect.counted
    assert counted is not None, "an effect that is counted says what to count"
    troubles = [*([census.trouble] if census.trouble else []), *unmet]
    told = (
        f"{census.inside} of {counted.whole} during the fault were {counted.part}, {census.outside} outside it; "
        f"must be {percent(counted.share_from)} to {percent(counted.share_to)}; {_met(fault, calls)}"
    )
    return EvidenceResult(
        fault=fault.id,
        title=fault.title,
        ok=not troubles,
        detail="; ".join(troubles) or told,
        seen_share=rounded(census.inside.share),
        outside_share=rounded(census.outside.share),
        measured_ms=None,
        samples=census.inside.of + census.outside.of,
        calls=calls,
        min_calls=fault.min_calls,
    )


def _calls(fault: PlannedFault, counters: Counters, from_s: float, to_s: float) -> tuple[int, tuple[str, ...]]:
    """Calls tried on all the fault's links meanwhile; links of which no counter tells."""
    total, silent = 0.0, []
    for link in fault.links:
        series = _series_of(link, _clients(fault, link), counters)
        if not series:
            silent.append(link)
        total += sum(one.grown(from_s, to_s) for one in series)
    return round(total), tuple(silent)


def _series_of(link: str, clients: frozenset[str], counters: Counters) -> list[Series]:
    """Of the clients that the fault is between, where the counters say whose they are."""
    if link.startswith(f"{SHOPPERS}."):
        # Shoppers count what they did and not what they called: each of these is a call at least.
        events = counters.metric(SHOPPER_EVENTS)
        return [one for one in events if one.labels.get("cohort") == "all" and one.labels.get("sli") != "purchase"]
    started = [one for one in counters.metric(STARTED) if one.labels.get("link") == link]
    ended = [
        one
        for one in counters.metric(CALLS)
        if one.labels.get("link") == link and one.labels.get("outcome") not in NOT_ON_THE_WIRE
    ]
    return [one for one in started or ended if not clients or one.labels.get(INSTANCE, "") in {"", *clients}]


def _clients(fault: PlannedFault, link: str) -> frozenset[str]:
    """`checkout[1]` of the proxy `checkout[1].inventory[0]`: only some may be broken. Empty: any."""
    of_link = [name.rpartition(".")[0] for name in (*fault.targets, *fault.watched)]
    return frozenset(client for client in of_link if client.partition("[")[0] == link.partition(".")[0])


def _unmet(fault: PlannedFault, calls: int, silent: Sequence[str]) -> Sequence[str]:
    if silent:
        return [f"no counter tells of calls on {', '.join(silent)}: its client must count them as link_calls_total"]
    if fault.links and calls < fault.min_calls:
        what = f"its clients made {calls} calls on it meanwhile, {fault.min_calls} are needed"
        return [f"{what}: raise load.peak_per_s, or let it last longer"]
    return []


def _met(fault: PlannedFault, calls: int) -> str:
    return f"{calls} calls of its clients met it" if fault.links else "it is on no link, so no calls were asked for"


def _told(fault: PlannedFault, seen: float, outside: float, looks: Sequence[Look], met: str) -> str:
    effect = fault.effect
    if effect.measure == "none":
        return f"{percent(seen)} of the probes saw no difference; {met}"
    wanted = {
        "added-latency": f"; must be {effect.at_least_ms:g} ms or more",
        "throughput": f"; must be {effect.at_most_kb_s:g} KB/s or less",
    }.get(effect.measure, "")
    things = "looks of its observer" if effect.measure == "observed" else "probes"
    slices = f" in its {numbered(len(fault.slices), 'slice')}" if fault.slices else ""
    between = ", and between them" if fault.slices else ""
    return (
        f"{percent(seen)} of the {things} during the fault{slices} showed it{_measured(effect, looks)}, "
        f"{percent(outside)} outside it{between}{wanted}; {met}"
    )


def _measured(effect: Effect, looks: Sequence[Look]) -> str:
    """What the worst target's median was: ` (+301 ms)`."""
    found = [one.measured for one in looks if one.measured is not None]
    if not found:
        return ""
    match effect.measure:
        case "added-latency":
            return f" (+{min(found):.0f} ms)"
        case "throughput":
            return f" ({max(found):.1f} KB/s)"
        case "observed":
            outside, counted = looks[0].measured_outside, looks[0].counted
            told = f"median {found[0]:g}" + (f", {outside:g} outside it" if outside is not None else "")
            return f" ({told}; {counted} in all)" if counted is not None and counted.of else f" ({told})"
        case _:
            return ""
