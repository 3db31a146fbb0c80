"""Whether a figure of the page of measured evidence is the declared one, by the bounds of docs/37-evidence.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from crashcart.judging.evidence import OUTSIDE_SHARE, SEEN_SHARE
from crashcart.model.chance import exact_interval

CONFIDENCE = 0.999
"""Of what is left to chance: one page in a thousand has such a figure out of its interval."""
LATENCY_SHARE, LATENCY_MS = 0.10, 2.0
BANDWIDTH_SHARE = 0.10
SLICER_ABOVE = 1.4
"""Toxiproxy's own pieces are larger than their average now and then: the bound of a run."""
HOG_WITHIN = 0.1
CPU_ABOVE = 1.2
FLAKY_WITHIN = 0.07
"""Half a slice of one second, of eight seconds."""
NOOP_MS = 100.0
FEWEST = 5
"""Of fewer looks or probes nothing is said."""

Holds = Callable[[str, str], bool]
"""(what was declared, what was measured) → whether the one is the other."""


def trouble(kind: str, declared: str, measured: str) -> str:
    """What is wrong with a cell of the page; empty where nothing is. Not of a kind that this runtime does not have."""
    if "not shown" in measured:
        return "it was not shown"
    try:
        return "" if HOLDS[kind](declared, measured) else "it is not what was declared"
    except LookupError as unread:
        return f"it does not say what was measured: {unread}"


def by_chance(latency_ms: float, jitter_ms: float, draws: int) -> tuple[float, float]:
    """Where the median of so many delays lies, drawn evenly from `latency_ms` ± `jitter_ms`.

    Half of the draws are no longer than their median: how many are no longer than x is binomial, whatever x is.
    """
    low = exact_interval((draws + 1) // 2, draws, CONFIDENCE)[0]
    high = exact_interval(draws // 2, draws, CONFIDENCE)[1]
    return latency_ms + (2 * low - 1) * jitter_ms, latency_ms + (2 * high - 1) * jitter_ms


def _read(pattern: str, text: str) -> list[float]:
    """The numbers in the pattern's groups, 0 for one that is not there. LookupError where the text is another."""
    found = re.search(pattern, text)
    if found is None:
        raise LookupError(f"{text!r} has no {pattern!r}")
    return [float((group or "0").replace(",", "")) for group in found.groups()]


def _seen(declared: str, measured: str) -> bool:
    """By an observer, in each look but a few, and not outside."""
    seen, looks, elsewhere, others = _read(r"seen in (\d+) of (\d+) looks, outside in (\d+) of (\d+)", measured)
    return min(looks, others) >= FEWEST and seen >= SEEN_SHARE * looks and elsewhere <= OUTSIDE_SHARE * others


def _medians(measured: str) -> list[float]:
    return _read(r"; median ([\d.,]+), outside ([\d.,]+)", measured)


def _seen_and(holds: Callable[[str, float, float], bool]) -> Holds:
    """`holds`: (what was declared, median during it, median outside it)."""

    def check(declared: str, measured: str) -> bool:
        return _seen(declared, measured) and holds(declared, *_medians(measured))

    return check


def _nobody(declared: str, measured: str) -> bool:
    """Not one probe was answered, and nearly all were outside it."""
    answered, asked, elsewhere, others = _read(r"^(\d+) of (\d+) probes answered, outside (\d+) of (\d+)", measured)
    return answered == 0 and min(asked, others) >= FEWEST and elsewhere >= SEEN_SHARE * others


def _flaky(declared: str, measured: str) -> bool:
    (share,), (on,) = _read(r"down (\d+)%", declared), _read(r"; on for (\d+) %", measured)
    return _nobody(declared, measured) and abs(on - share) <= 100 * FLAKY_WITHIN


def _late(declared: str, measured: str) -> bool:
    latency_ms, jitter_ms = _read(r" (\d+)ms(?: ± (\d+)ms)? late", declared)
    later_ms, usual_ms, probes = _read(r"^([\d.]+) ms later, outside (-?[\d.]+) ms \((\d+) probes", measured)
    off_ms = max(LATENCY_SHARE * latency_ms, LATENCY_MS)
    low_ms, high_ms = latency_ms - off_ms, latency_ms + off_ms
    if jitter_ms:
        low_ms, high_ms = by_chance(latency_ms, jitter_ms, int(probes))
        low_ms, high_ms = low_ms - LATENCY_MS, high_ms + LATENCY_MS
    return probes >= FEWEST and low_ms <= later_ms <= high_ms and abs(usual_ms) <= off_ms


def _narrow(declared: str, measured: str) -> bool:
    (wanted,) = _read(r"at (\d+) KB/s", declared)
    rate, usual, answers = _rate(measured)
    return answers >= FEWEST and abs(rate - wanted) <= BANDWIDTH_SHARE * wanted and usual > 2 * wanted


def _sliced(declared: str, measured: str) -> bool:
    size, pause_ms = _read(r"pieces of (\d+)[^,]*, (\d+)ms apart", declared)
    rate, usual, answers = _rate(measured)
    return answers >= FEWEST and 0 < rate <= SLICER_ABOVE * size / pause_ms and usual > 2 * rate


def _rate(measured: str) -> list[float]:
    return _read(r"^([\d.,]+) KB/s, outside ([\d.,]+) KB/s \((\d+) answers", measured)


def _cut(declared: str, measured: str) -> bool:
    (most,) = _read(r"after (\d+) bytes", declared)
    longest, whole, answers = _read(r"^(\d+) bytes of (\d+) at most \((\d+) answers", measured)
    return answers >= FEWEST and 0 < longest <= most < whole


def _nothing(declared: str, measured: str) -> bool:
    off_ms, probes = _read(r"no probe more than ([\d.]+) ms off its twin \((\d+) probes", measured)
    return off_ms <= NOOP_MS and probes >= FEWEST


def _lost(declared: str, measured: str) -> bool:
    (percent,) = _read(r"^(\d+) % of the packets", declared)
    lost, asked = _read(r"; ([\d,]+) of ([\d,]+) counted", measured)
    return _seen_and(lambda _, during, outside: outside == 0)(declared, measured) and _may_be(lost, asked, percent)


def _refused(declared: str, measured: str) -> bool:
    (percent,) = _read(r"refuses (\d+) %", declared)
    refused, asked, elsewhere, others = _read(r" % \((\d+) of (\d+)\).*, [\d.]+ % \((\d+) of (\d+)\) outside", measured)
    return _may_be(refused, asked, percent) and others >= FEWEST and elsewhere <= OUTSIDE_SHARE * others


def _may_be(n: float, of: float, percent: float) -> bool:
    low, high = exact_interval(int(n), int(of), CONFIDENCE)
    return low <= percent / 100 <= high and not low <= percent / 200 <= high


def _hogged(declared: str, during: float, outside: float) -> bool:
    (percent,) = _read(r"for (\d+) % of the time", declared)
    return abs(during - percent / 100) <= HOG_WITHIN and outside <= HOG_WITHIN


def _limited(declared: str, during: float, outside: float) -> bool:
    (cpus,) = _read(r"may use ([\d.]+) of a processor", declared)
    return 0 < during <= CPU_ABOVE * cpus


HOLDS: Mapping[str, Holds] = {
    "database/connections": _seen,
    "database/corrupt-page": _seen_and(lambda _, during, outside: during > 0 == outside),
    "database/lock": _seen,
    "database/sql": _seen,
    "disk/full": _seen_and(lambda _, during, outside: during == 0 < outside),
    "http/admin": _refused,
    "network/loss": _lost,
    "network/partition": _nobody,
    "noop": _nothing,
    "service/cpu-hog": _seen_and(_hogged),
    "service/cpu-limit": _seen_and(_limited),
    "service/kill": _nobody,
    "service/memory-limit": _seen_and(lambda _, during, outside: during > 0 == outside),
    "service/pause": _nobody,
    "toxiproxy/bandwidth": _narrow,
    "toxiproxy/down": _nobody,
    "toxiproxy/flaky": _flaky,
    "toxiproxy/latency": _late,
    "toxiproxy/limit-data": _cut,
    "toxiproxy/reset": _nobody,
    "toxiproxy/slicer": _sliced,
    "toxiproxy/timeout": _nobody,
}
"""Of every kind."""
