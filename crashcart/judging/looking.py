"""What was seen of a fault: by probes through and beside a proxy, or by the fault's own observer."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from crashcart.judging.numbers import binomial_tail
from crashcart.judging.shares import Part
from crashcart.judging.tape import Tape
from crashcart.judging.windows import PROBE_S, Times
from crashcart.model.plan import Effect, PlannedFault

PROBES_PER_S = 4.0
WHOLE_PER_S = 2.0
"""What is long is asked for less often."""
PROBED_SHARE = 0.5
"""Of the probes that should have been made, on each side; with fewer the effect was not watched."""
JUST_S = 2.0
"""A fault that comes late, ends early or stays is told by what was seen at its ends, however long it lasts."""
JUST_SAMPLES = 4
"""Fewer at an end tell nothing."""
PAIRED_WITHIN_S = 0.6
"""A probe through a proxy is held against the one beside it at about the same time."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe through a proxy, with its twin beside it."""

    t: float
    through_ok: bool
    through_ms: float
    beside_ok: bool
    beside_ms: float
    through_bytes: int = 0
    beside_bytes: int = 0
    beside_note: str = ""
    """What was wrong beside it."""

    def shows(self, effect: Effect, usual_ms: float = math.inf) -> bool:
        """Whether this pair shows the effect; for `none`, whether both sides are well and alike.

        `usual_ms` is what probes beside the proxy took about then: a twin that was slower for once says little.
        """
        beside_ms = min(self.beside_ms, usual_ms)
        match effect.measure:
            case "added-latency":
                return self.later_by(effect.at_least_ms, usual_ms)
            case "unreachable":
                return self.beside_ok and not self.through_ok
            case "instance-down":
                # where somebody answers through the proxy, its clients do not miss what is gone
                return not self.beside_ok and not self.through_ok
            case "throughput":
                return self.beside_ok and self._slow(effect.at_most_kb_s, beside_ms)
            case "cut-short":
                most = min(self.beside_bytes - 1, effect.at_most_bytes or self.beside_bytes)
                return self.beside_ok and not self.through_ok and 0 < self.through_bytes <= most
            case "none":
                alike = self.through_ms - self.beside_ms <= effect.at_least_ms
                return self.through_ok and self.beside_ok and alike
            case _:
                return False

    def later_by(self, ms: float, usual_ms: float = math.inf) -> bool:
        """Whether it took so much longer through the proxy, or until the probe gave up, however long it would have."""
        beside_ms = min(self.beside_ms, usual_ms)
        return self.beside_ok and self.through_ms - beside_ms >= min(ms, PROBE_S * 950 - beside_ms)

    def _slow(self, at_most_kb_s: float, beside_ms: float) -> bool:
        """Something came, whole or until the probe gave up, and no faster than that, while beside it was faster."""
        in_time = self.through_ok or self.through_ms >= PROBE_S * 950
        return in_time and 0 < self.through_kb_s <= at_most_kb_s < _kb_s(self.beside_bytes, beside_ms)

    def undecided(self, until_s: float) -> bool:
        """Whether a side was answered only after `until_s`, maybe because the fault had gone by then."""
        latest_ms = max(self.through_ms if self.through_ok else 0.0, self.beside_ms if self.beside_ok else 0.0)
        return self.t + latest_ms / 1000 > until_s

    @property
    def added_ms(self) -> float:
        """How much longer it took through the proxy."""
        return self.through_ms - self.beside_ms

    @property
    def through_kb_s(self) -> float:
        """Kilobytes (1,000 bytes) of the answer a second, through the proxy."""
        return _kb_s(self.through_bytes, self.through_ms)


def _kb_s(size: int, took_ms: float) -> float:
    return size / took_ms if took_ms > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Glance:
    """One look of a fault's observer."""

    t: float
    """Its middle."""
    there: bool
    ms: float
    value: float | None
    note: str
    part: int = 0
    whole: int = 0


_Answer = tuple[float, bool, float, int, str]
"""Of one side: when it was asked, whether it was well, milliseconds, bytes, what was wrong."""


@dataclass(frozen=True, slots=True)
class Samples:
    """All that was seen in a run."""

    probes: Mapping[str, Sequence[Probe]]
    """Proxy → pairs, in order of time."""
    glances: Mapping[str, Sequence[Glance]]
    """Fault's id → looks, in order of time."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the samples of one proxy, or of one observer, say of a fault."""

    seen_share: float
    outside_share: float
    samples: int
    trouble: str
    at_its_ends: str = ""
    """What is wrong just after its beginning, or just before or after its end; empty where nothing is."""
    measured: float | None = None
    """Median during the fault: added ms, KB/s, or the observer's value."""
    measured_outside: float | None = None
    """Median outside it, of an observer's values."""
    long_enough: float = 1.0
    """P(so few long delays), were at least half of them as long as the effect says; 1 where it says nothing."""
    counted: Part | None = None
    """What an observer counted during the fault, all together; None where it is no observer."""


def read_samples(tape: Tape) -> Samples:
    """What probes and observers noted. A probe without a twin near it is left out."""
    sides: dict[tuple[str, str], list[_Answer]] = {}
    glances: dict[str, list[Glance]] = {}
    columns = {str(row[0]) for row in tape.rows("DESCRIBE recording.evidence")}
    # recordings of before there were these
    late = {"bytes": "0", "value": "NULL", "error": "''", "part": "0", "whole": "0"}
    extra = ", ".join(name if name in columns else f"{other} AS {name}" for name, other in late.items())
    # one line said twice is one look
    sql = f"SELECT DISTINCT proxy, side, t, ok, ms, {extra} FROM recording.evidence ORDER BY ALL"  # noqa: S608 - ours
    for proxy, side, t, ok, ms, size, value, note, part, whole in tape.rows(sql):
        if side == "observed":
            glances.setdefault(proxy, []).append(Glance(t, ok, ms, value, note or "", part or 0, whole or 0))
        else:
            sides.setdefault((proxy, side), []).append((t, ok, ms, size or 0, note or ""))
    probes = {
        proxy: tuple(_paired(through, sides.get((proxy, "beside"), [])))
        for (proxy, side), through in sides.items()
        if side == "through"
    }
    return Samples(probes, glances)


def _paired(through: Sequence[_Answer], beside: Sequence[_Answer]) -> Sequence[Probe]:
    times = [t for t, *_ in beside]
    found = []
    for t, ok, ms, size, _ in through:
        index = bisect_left(times, t)
        near = [beside[i] for i in (index - 1, index) if 0 <= i < len(beside)]
        twin = min(near, key=lambda other: abs(other[0] - t), default=None)
        if twin is not None and abs(twin[0] - t) <= PAIRED_WITHIN_S:
            found.append(Probe(t, ok, ms, twin[1], twin[2], size, twin[3], twin[4]))
    return found


def probes_per_s(proxy: str, faults: Sequence[PlannedFault]) -> float:
    """How often a proxy is asked: where any fault needs whole answers of it, all its probes ask for these."""
    whole = any(fault.effect.whole_answers and proxy in fault.watched for fault in faults)
    return WHOLE_PER_S if whole else PROBES_PER_S


def look(fault: PlannedFault, times: Times, probes: Sequence[Probe], per_s: float) -> Look:
    """What one proxy's probes say."""
    spans = [(probe, times.within(probe.t)) for probe in probes]
    inside = [probe for probe, until_s in spans if until_s is not None and not probe.undecided(_until(times, until_s))]
    outside = [probe for probe in probes if times.outside(probe.t)]
    effect = fault.effect
    quiet = effect.measure == "none"
    outside_share = _share(outside, effect)
    usual_ms = _median([probe.beside_ms for probe in inside if probe.beside_ok])
    usual_ms = math.inf if usual_ms is None else usual_ms
    trouble = _too_few([probe.t for probe in inside], [probe.t for probe in outside], times, per_s, "probe")
    shown = [(probe.t, probe.shows(effect, usual_ms)) for probe in inside]
    stays = [(probe.t, probe.shows(effect)) for probe in outside]
    return Look(
        seen_share=_share(inside, effect, usual_ms),
        outside_share=1.0 - outside_share if quiet and outside else outside_share,
        samples=len(inside) + len(outside),
        trouble=trouble or _no_whole_answer(fault, probes),
        at_its_ends="" if quiet else _at_its_ends(shown, stays, times),
        measured=_median_of(inside, effect),
        long_enough=_long_enough(inside, effect, usual_ms),
    )


def observe(times: Times, glances: Sequence[Glance]) -> Look:
    """What a fault's own observer says."""
    inside = [one for one in glances if (until_s := times.within(one.t)) is not None and _ended(one, times, until_s)]
    outside = [one for one in glances if times.outside(one.t)]
    trouble = _too_few([one.t for one in inside], [one.t for one in outside], times, PROBES_PER_S, "look")
    notes = Counter(one.note for one in inside if not one.there and one.note)
    if notes and not trouble and sum(one.there for one in inside) == 0:
        trouble = f"its observer never saw it: {notes.most_common(1)[0][0]}"
    return Look(
        seen_share=sum(one.there for one in inside) / len(inside) if inside else 0.0,
        outside_share=sum(one.there for one in outside) / len(outside) if outside else 0.0,
        samples=len(inside) + len(outside),
        trouble=trouble,
        measured=_median([one.value for one in inside if one.value is not None]),
        at_its_ends=_at_its_ends(
            [(one.t, one.there) for one in inside], [(one.t, one.there) for one in outside], times
        ),
        measured_outside=_median([one.value for one in outside if one.value is not None]),
        counted=Part(sum(one.part for one in inside), sum(one.whole for one in inside)),
    )


def _no_whole_answer(fault: PlannedFault, probes: Sequence[Probe]) -> str:
    """Why nothing long could be asked for, or why it was too short to be cut; empty where it was not."""
    effect = fault.effect
    if not effect.whole_answers or not probes:
        return ""
    whole = [probe.beside_bytes for probe in probes if probe.beside_ok]
    if not whole:
        why = Counter(probe.beside_note for probe in probes).most_common(1)[0][0] or "no answer"
        remedy = "give the service a /metrics that answers 200" if "/metrics" in why else "see its own log"
        return f"no whole answer could be had from it, not even beside its proxy ({why}): {remedy}"
    if effect.measure == "cut-short" and max(whole) <= effect.at_most_bytes:
        return (
            f"a whole answer of it has {max(whole)} bytes at most, so none is cut after {effect.at_most_bytes}: "
            "let the fault cut earlier (`bytes`), or give the service a longer /metrics"
        )
    return ""


def _at_its_ends(inside: Sequence[tuple[float, bool]], outside: Sequence[tuple[float, bool]], times: Times) -> str:
    """Whether most of what was seen right after its beginning, or right before or after its end, denies it.

    Of a fault that lasts long, a twentieth is long, too. One that comes and goes begins with its first slice, and ends
    with its last one.
    """
    if not times.inside:
        return ""
    first, last = times.inside[0], times.inside[-1]
    if _mostly(inside, first[0], min(first[0] + JUST_S, first[1])) is False:
        return f"it was not seen in the first {JUST_S:g} s: it began late"
    if _mostly(inside, max(last[1] - JUST_S, last[0]), last[1]) is False:
        return f"it was not seen in the last {JUST_S:g} s: it ended early"
    if _mostly(outside, times.after_s, times.after_s + JUST_S):
        return f"it was still seen in the {JUST_S:g} s after it should have gone: it was not really undone"
    return ""


def _mostly(seen: Sequence[tuple[float, bool]], from_s: float, to_s: float) -> bool | None:
    """Whether most in that time showed it. None: there were too few, or as many as did not."""
    found = [there for t, there in seen if from_s <= t <= to_s]
    return sum(found) * 2 > len(found) if len(found) >= JUST_SAMPLES and sum(found) * 2 != len(found) else None


def _until(times: Times, until_s: float) -> float:
    """When the fault that was on then began to go: the end of the span and the edge that was left out of it."""
    return until_s + times.edge_s


def _ended(one: Glance, times: Times, until_s: float) -> bool:
    return one.t + one.ms / 2000 <= _until(times, until_s)


def _share(probes: Sequence[Probe], effect: Effect, usual_ms: float = math.inf) -> float:
    return sum(probe.shows(effect, usual_ms) for probe in probes) / len(probes) if probes else 0.0


def _long_enough(probes: Sequence[Probe], effect: Effect, usual_ms: float) -> float:
    if not effect.typical_ms or not probes:
        return 1.0
    return binomial_tail(sum(probe.later_by(effect.typical_ms, usual_ms) for probe in probes), len(probes), 0.5)


def _median_of(probes: Sequence[Probe], effect: Effect) -> float | None:
    if effect.measure == "throughput":
        return _median([probe.through_kb_s for probe in probes])
    return _median([probe.added_ms for probe in probes])


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _too_few(inside: Sequence[float], outside: Sequence[float], times: Times, per_s: float, thing: str) -> str:
    where = " on both sides" if thing == "probe" else ""
    if len(inside) < max(1.0, PROBED_SHARE * per_s * times.inside_s):
        return f"only {len(inside)} {thing}s were made{where} during the fault"
    if not any(t < times.before_s for t in outside):
        return f"no {thing} was made before the fault"
    if not any(t > times.after_s for t in outside):
        return f"no {thing} was made after the fault"
    return ""
