"""Two verdicts, and what changed from one to the other beyond noise. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from crashcart.model.verdict import (
    InvariantResult,
    LinkNumbers,
    ObjectiveResult,
    Outcome,
    PhaseNumbers,
    RecoveryResult,
    Verdict,
)
from crashcart.reporting import words
from crashcart.shelf.noise import Shares, moved

Way = Literal["new failure", "worse", "better", "moved"]

WAYS: tuple[Way, ...] = ("new failure", "worse", "better", "moved")
"""In the order in which they are told."""

HOW_SHARES = "shares: Fisher's exact test, two-sided, corrected for the number of comparisons (Holm), 5 %"
HOW_SINGLE = (
    "recovery from 2 s and a fifth, latencies from 20 ms and a quarter, CPU from 15 %: "
    "one run each, so these are thresholds and not tests"
)
RECOVERY_S, RECOVERY_SHARE = 2.0, 0.2
LATENCY_MS, LATENCY_SHARE = 20.0, 0.25
CPU_SHARE = 0.15
NEIGHBOURS_SHARE = 0.1
EVIDENCE_MS, EVIDENCE_SHARE = 5.0, 0.1

_IN_ONE = "expected in one of them only"
_RANK = {Outcome.PASS: 2, Outcome.INCONCLUSIVE: 1, Outcome.FAIL: 0}


class Change(msgspec.Struct, frozen=True):
    """One thing that is not as it was."""

    group: str
    """`verdict`, `objectives`, `recovery`, `invariants`, `evidence`, `validity`, `cost`, `latency`, `links`."""
    name: str
    way: Way
    before: str
    after: str
    why: str = ""
    """How it was judged: a p value, a threshold, or an outcome that changed."""


def changes(before: Verdict, after: Verdict) -> tuple[Change, ...]:
    """Everything that changed, new failures first."""
    found = [
        *_verdict(before, after),
        *_objectives(before.objectives, after.objectives),
        *_invariants(before, after),
        *_recovery(before.recovery, after.recovery),
        *_checks(before, after),
        *_lost(before, after),
        *_cpu(before, after),
        *_latency(before, after),
        *_links(before.links, after.links),
    ]
    return tuple(sorted(found, key=lambda one: WAYS.index(one.way)))


def way_of(before: Outcome, after: Outcome) -> Way:
    """Of an outcome that changed."""
    if after is Outcome.FAIL:
        return "new failure"
    if Outcome.FAIL is before and after is Outcome.INCONCLUSIVE:
        return "moved"  # that nothing can be said is no good news
    return "worse" if _RANK[after] < _RANK[before] else "better"


def _verdict(before: Verdict, after: Verdict) -> Iterator[Change]:
    if before.outcome is not after.outcome:
        way = way_of(before.outcome, after.outcome)
        yield Change("verdict", "the run", way, before.outcome.value, after.outcome.value, after.headline)
    elif before.exit_status != after.exit_status:
        yield Change("verdict", "exit status", "moved", str(before.exit_status), str(after.exit_status), after.headline)


def _objectives(before: Sequence[ObjectiveResult], after: Sequence[ObjectiveResult]) -> Iterator[Change]:
    old, new = {one.id: one for one in before}, {one.id: one for one in after}
    both = [(old[name], new[name]) for name in old if name in new]
    judged = moved([Shares(was.good, was.valid, now.good, now.valid) for was, now in both])
    for (was, now), (beyond, p_value) in zip(both, judged, strict=True):
        name = f"{now.phase} · {now.slo} · {words.cohort(now.cohort)}"
        said = _chance(p_value)
        told = (_observed(was), _observed(now))
        if was.outcome is not now.outcome:
            why = f"{was.outcome.value} → {now.outcome.value}, {said}" + ("" if beyond else ": may be chance")
            yield Change("objectives", name, way_of(was.outcome, now.outcome), *told, why)
        elif beyond:
            better = (now.observed or 0.0) > (was.observed or 0.0)
            yield Change("objectives", name, "better" if better else "worse", *told, said)
    for name in sorted(old.keys() ^ new.keys()):
        one = old.get(name) or new[name]
        told = (_observed(old.get(name)), _observed(new.get(name)))
        failed = name in new and one.outcome is Outcome.FAIL
        yield Change("objectives", one.id, "new failure" if failed else "moved", *told, _IN_ONE)


def _observed(one: ObjectiveResult | None) -> str:
    return "not expected" if one is None else f"{words.share(one.observed)} of {words.count(one.valid)}"


def _invariants(before: Verdict, after: Verdict) -> Iterator[Change]:
    old = {one.name: one for one in before.invariants}
    for now in after.invariants:
        was = old.pop(now.name, None)
        told = (_against(was), _against(now))
        if was is None:
            failed = now.outcome is Outcome.FAIL
            yield Change("invariants", now.name, "new failure" if failed else "moved", *told, _IN_ONE)
        elif was.outcome is not now.outcome:
            why = f"{was.outcome.value} → {now.outcome.value}"
            yield Change("invariants", now.name, way_of(was.outcome, now.outcome), *told, why)
        elif was.violations != now.violations:
            yield Change("invariants", now.name, "worse" if now.violations > was.violations else "better", *told)

    for name, gone in old.items():
        yield Change("invariants", name, "moved", _against(gone), _against(None), _IN_ONE)


def _against(one: InvariantResult | None) -> str:
    return "not expected" if one is None else f"{words.count(one.violations)} against it"


def _recovery(was: RecoveryResult | None, now: RecoveryResult | None) -> Iterator[Change]:
    if was is None and now is None:
        return
    told = (_recovered(was), _recovered(now))
    if was is None or now is None:
        failed = now is not None and now.outcome is Outcome.FAIL
        yield Change("recovery", "sustained health", "new failure" if failed else "moved", *told, _IN_ONE)
    elif was.outcome is not now.outcome:
        why = f"{was.outcome.value} → {now.outcome.value}"
        yield Change("recovery", "sustained health", way_of(was.outcome, now.outcome), *told, why)
    elif _apart(was.recovered_after_s, now.recovered_after_s, RECOVERY_S, RECOVERY_SHARE):
        way: Way = "worse" if (now.recovered_after_s or 0.0) > (was.recovered_after_s or 0.0) else "better"
        yield Change("recovery", "sustained health", way, *told)


def _recovered(one: RecoveryResult | None) -> str:
    return "not expected" if one is None else words.seconds(one.recovered_after_s)


def _checks(before: Verdict, after: Verdict) -> Iterator[Change]:
    """Whether the runs count, and what showed that the faults acted."""
    checks = {one.name: one for one in before.validity}
    for now in after.validity:
        was = checks.get(now.name)
        if was is not None and was.ok != now.ok:
            way: Way = "better" if now.ok else "worse"
            yield Change("validity", now.title, way, _held(ok=was.ok), _held(ok=now.ok), now.detail)
    seen = {one.fault: one for one in before.evidence}
    for look in after.evidence:
        earlier = seen.get(look.fault)
        if earlier is None:
            continue
        told = (words.milliseconds(earlier.measured_ms), words.milliseconds(look.measured_ms))
        if earlier.ok != look.ok:
            way = "better" if look.ok else "worse"
            yield Change("evidence", look.title, way, _held(ok=earlier.ok), _held(ok=look.ok), look.detail)
        elif _apart(earlier.measured_ms, look.measured_ms, EVIDENCE_MS, EVIDENCE_SHARE):
            yield Change("evidence", look.title, "moved", *told, "the fault was not of the same size")


def _held(*, ok: bool) -> str:
    return "holds" if ok else "does not hold"


def _lost(before: Verdict, after: Verdict) -> Iterator[Change]:
    a_lost, b_lost = before.cost.purchases_lost, after.cost.purchases_lost
    a_all, b_all = (sum(phase.offered for phase in one.phases) for one in (before, after))
    if a_lost > a_all or b_lost > b_all:
        return  # cut short: the sums are none
    ((beyond, p_value),) = moved([Shares(a_lost, a_all, b_lost, b_all)])
    if beyond:
        way: Way = "worse" if b_lost * a_all > a_lost * b_all else "better"
        told = [
            f"{words.count(one.cost.purchases_lost)} of {words.count(whole)}, {words.money(one.cost.money_lost_cents)}"
            for one, whole in ((before, a_all), (after, b_all))
        ]
        yield Change("cost", "purchases lost", way, told[0], told[1], _chance(p_value))


def _cpu(before: Verdict, after: Verdict) -> Iterator[Change]:
    was, now = before.cost.cpu_ms_per_order, after.cost.cpu_ms_per_order
    if not _apart(was, now, 0.0, CPU_SHARE) or was is None or now is None:
        return
    told = [f"{words.decimal(one)} ms" for one in (was, now)]
    yield Change("cost", "CPU an order", _slower(before, after, was, now), told[0], told[1], _neighbours(before, after))


def _slower(before: Verdict, after: Verdict, was: float, now: float) -> Way:
    """More is worse; where others used the machine differently, it is only different."""
    if _neighbours(before, after):
        return "moved"
    return "worse" if now > was else "better"


def _neighbours(before: Verdict, after: Verdict) -> str:
    """Said where they differed so much that neither CPU nor latency can be compared."""
    was, now = before.cost.neighbours_busy_share, after.cost.neighbours_busy_share
    if was is None or now is None or abs(now - was) <= NEIGHBOURS_SHARE:
        return ""
    return f"neighbours kept {was:.0%} of the machine busy, then {now:.0%}"


def _latency(before: Verdict, after: Verdict) -> Iterator[Change]:
    old: dict[str, PhaseNumbers] = {one.name: one for one in before.phases}
    for now in after.phases:
        was = old.get(now.name)
        if was is None:
            continue
        for name, a_ms, b_ms in (
            ("p50", was.checkout_p50_ms, now.checkout_p50_ms),
            ("p99", was.checkout_p99_ms, now.checkout_p99_ms),
        ):
            if _apart(a_ms, b_ms, LATENCY_MS, LATENCY_SHARE):
                way = _slower(before, after, a_ms or 0.0, b_ms or 0.0)
                told = (words.milliseconds(a_ms), words.milliseconds(b_ms))
                yield Change("latency", f"{now.name} · checkout {name}", way, *told, _neighbours(before, after))


def _links(before: Sequence[LinkNumbers], after: Sequence[LinkNumbers]) -> Iterator[Change]:
    """Calls that failed, of those made, on each link in each phase."""
    old = {(one.link, one.phase): one for one in before}
    both = [(old[now.link, now.phase], now) for now in after if (now.link, now.phase) in old]
    both = [(was, now) for was, now in both if was.failed <= was.calls and now.failed <= now.calls]
    judged = moved([Shares(was.failed, was.calls, now.failed, now.calls) for was, now in both])
    for (was, now), (beyond, p_value) in zip(both, judged, strict=True):
        if beyond:
            told = [f"{words.count(one.failed)} of {words.count(one.calls)} failed" for one in (was, now)]
            way: Way = "worse" if now.failed * was.calls > was.failed * now.calls else "better"
            yield Change("links", f"{now.phase} · {now.link}", way, told[0], told[1], _chance(p_value))


def _chance(p_value: float) -> str:
    said = words.chance(p_value)
    return f"p {said}" if said.startswith("<") else f"p = {said}"


def _apart(was: float | None, now: float | None, least: float, share: float) -> bool:
    """Further apart than both the amount and the share of the smaller. False where one is unknown."""
    if was is None or now is None:
        return False
    return abs(now - was) > max(least, share * min(was, now))
