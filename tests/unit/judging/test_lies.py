"""Faults that did not act as declared, of each kind in every way that may happen: they must not be called shown.

They do nothing, act elsewhere, half as strongly, end early, stay. What the real fault looks like is judged beside each,
so that none of these can be refused for another reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import pytest

from crashcart.faults import decode_settings, registry
from crashcart.judging.counters import Counters, Series
from crashcart.judging.evidence import judge_evidence
from crashcart.judging.looking import Probe, Samples
from crashcart.judging.windows import Window
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.verdict import EvidenceResult
from crashcart.questions import LONG_BYTES
from tests.unit.judging.planned import PROXY
from tests.unit.judging.samples import (
    BEGAN_S,
    ENDED_S,
    GONE,
    LAST_S,
    LINK,
    MET,
    counter,
    fault_of,
    glances_of,
    judged,
    on,
)

TIMES = [n / 2 for n in range(140)]
WHOLE = 20_000
SLICES = ((0.0, 2.0), (6.0, 8.0), (12.0, 16.0))
See = Callable[[float], Probe]
There = Callable[[float], bool]


def _well(t: float) -> Probe:
    return Probe(t, True, 5.0, True, 5.0, WHOLE, WHOLE)


def _cut_off(t: float) -> Probe:
    return Probe(t, False, 1.0, True, 5.0, 0, WHOLE)


def _gone(t: float) -> Probe:
    return Probe(t, False, 1.0, False, 1.0, 0, 0)


def _another_gone(t: float) -> Probe:
    """What was killed is not what the proxy leads to."""
    return Probe(t, True, 5.0, False, 1.0, WHOLE, 0)


def _late_by(ms: float) -> See:
    return lambda t: Probe(t, True, 5.0 + ms, True, 5.0, WHOLE, WHOLE)


def _at_kb_s(rate: float) -> See:
    return lambda t: Probe(t, True, WHOLE / rate, True, 5.0, WHOLE, WHOLE)


def _cut_after(size: int) -> See:
    return lambda t: Probe(t, False, 5.0, True, 5.0, size, WHOLE)


def _while(there: There, see: See) -> See:
    return lambda t: see(t) if there(t) else _well(t)


def _slices(shift_s: float = 0.0) -> There:
    return lambda t: any(BEGAN_S + from_s <= t - shift_s <= BEGAN_S + to_s for from_s, to_s in SLICES)


def _ends_early(t: float) -> bool:
    return on(t) and t < ENDED_S - 5


BINARY = {
    "toxiproxy/down",
    "toxiproxy/timeout",
    "toxiproxy/reset",
    "service/kill",
    "service/pause",
    "network/partition",
}
"""Kinds that act or do not: there is no half of them."""


def _stays(t: float) -> bool:
    return BEGAN_S <= t <= ENDED_S + 2.5


class Case(NamedTuple):
    kind: str
    settings: dict[str, Any]
    true: See
    """What is seen while it acts."""
    half: See | None = None
    """What is seen while it acts half as strongly. None: it acts or it does not."""
    there: There = on


def _varying(middle_ms: float, jitter_ms: float) -> See:
    """Each probe a delay of its own, evenly spread."""
    return lambda t: _late_by(middle_ms + jitter_ms * math.sin(t * 17))(t)


def _half_of_each_slice(t: float) -> Probe:
    short = any(BEGAN_S + from_s <= t <= BEGAN_S + (from_s + to_s) / 2 for from_s, to_s in SLICES)
    return _cut_off(t) if short else _well(t)


ASKED_MS = LONG_BYTES / 16
CASES = (
    Case("toxiproxy/down", {"link": "a.b"}, _cut_off),
    Case("toxiproxy/timeout", {"link": "a.b"}, _cut_off),
    Case("toxiproxy/reset", {"link": "a.b"}, _cut_off),
    Case("toxiproxy/latency", {"link": "a.b", "latency": "300ms"}, _late_by(301), _late_by(151)),
    Case(
        "toxiproxy/latency",
        {"link": "a.b", "latency": "300ms", "jitter": "290ms"},
        _varying(300, 290),
        _varying(150, 145),
    ),
    Case("toxiproxy/bandwidth", {"link": "a.b", "rate_kb_s": 30}, _at_kb_s(30), _at_kb_s(60)),
    Case(
        "toxiproxy/bandwidth",
        {"link": "a.b", "rate_kb_s": 16, "direction": "upstream"},
        _late_by(ASKED_MS),
        _late_by(ASKED_MS / 2),
    ),
    Case("toxiproxy/slicer", {"link": "a.b", "size": 200, "delay": "10ms"}, _at_kb_s(19), _at_kb_s(38)),
    Case("toxiproxy/limit-data", {"link": "a.b", "bytes": 1000}, _cut_after(1000), _cut_after(2000)),
    Case("toxiproxy/flaky", {"link": "a.b", "share": 0.4}, _cut_off, _half_of_each_slice, _slices()),
    Case("service/kill", {"service": "b"}, _gone),
    Case("service/pause", {"service": "b"}, _gone),
    Case("network/partition", {"service": "b"}, _gone),
)
"""Every kind that is seen by probes, but for the one that does nothing."""

OBSERVED: dict[str, tuple[There, str]] = {
    "database/connections": (_stays, "after it should have gone"),
    "database/corrupt-page": (lambda t: on(t) and t > BEGAN_S + 5, "% of the looks of its observer during"),
    "database/lock": (_ends_early, "% of the looks of its observer during"),
    "database/sql": (lambda t: t >= BEGAN_S, "outside the fault"),
    "disk/full": (lambda t: on(t) and t % 1 < 0.5, "% of the looks of its observer during"),
    "network/loss": (lambda t: on(t) and t % 2 < 1, "% of the looks of its observer during"),
    "service/cpu-hog": (lambda t: False, "only 0 %"),
    "service/cpu-limit": (lambda t: False, "only 0 %"),
    "service/memory-limit": (lambda t: on(t) and t > BEGAN_S + 5, "% of the looks of its observer during"),
}


def _fault(case: Case) -> PlannedFault:
    kind = registry()[case.kind]
    effect = kind.effect(decode_settings(kind, case.settings))
    return fault_of(effect, kind=case.kind, slices=SLICES if case.kind == "toxiproxy/flaky" else ())


def _nothing(case: Case) -> EvidenceResult:
    return judged(_fault(case), [_well(t) for t in TIMES])


def _elsewhere(case: Case) -> EvidenceResult:
    """Another proxy has what this one should have."""
    acts = _while(case.there, case.true)
    probes = {PROXY: [_well(t) for t in TIMES], "checkout[0].mail[0]": [acts(t) for t in TIMES]}
    fault = _fault(case)
    return judge_evidence(fault, {"f1": GONE}, (fault,), Samples(probes, {}), MET)


def _half(case: Case) -> EvidenceResult:
    assert case.half is not None
    return judged(_fault(case), [_while(on, case.half)(t) for t in TIMES])


def _early(case: Case) -> EvidenceResult:
    return judged(_fault(case), [_while(lambda t: case.there(t) and _ends_early(t), case.true)(t) for t in TIMES])


def _outlives(case: Case) -> EvidenceResult:
    fault = _fault(case)
    last_s = ENDED_S + fault.effect.settle_s + 3.0
    return judged(fault, [_while(lambda t: case.there(t) or ENDED_S < t <= last_s, case.true)(t) for t in TIMES])


LIES: dict[str, tuple[Callable[[Case], EvidenceResult], tuple[str, ...]]] = {
    "nothing": (_nothing, ("only 0 % of the probes during the fault",)),
    "elsewhere": (_elsewhere, ("only 0 % of the probes during the fault",)),
    "half": (_half, ("of the probes during the fault",)),
    "early": (_early, ("of the probes during the fault showed it, 95 % must",)),
    "outlives": (_outlives, ("of the probes outside the fault showed it too", "after it should have gone")),
}


def test_for_every_kind_there_are_lies() -> None:
    assert {case.kind for case in CASES} | OBSERVED.keys() | {"http/admin", "noop"} == registry().keys()


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("case", CASES, ids=[f"{case.kind}-{len(case.settings)}" for case in CASES])
def test_a_fault_of_this_kind_that_did_not_act_as_declared_is_not_shown(case: Case, lie: str) -> None:
    acts = _while(case.there, case.true)
    true = judged(_fault(case), [acts(t) for t in TIMES])
    assert true.ok, true.detail
    if lie == "half" and case.half is None:
        assert case.kind in BINARY
        return
    tell, said = LIES[lie]
    seen = tell(case)
    assert not seen.ok, seen.detail
    assert any(words in seen.detail for words in said), seen.detail


def test_a_delay_that_varies_as_much_as_it_can_is_not_called_weak_by_chance() -> None:
    """In the shortest fault there may be, 3 s, and in the usual ones; half as strong, it is found out from 5 s on."""
    effect = Effect("added-latency", at_least_ms=9.0, typical_ms=295.0)
    random = Random(6)
    for seconds, refused_at_most in ((3, 2), (10, 2), (20, 2)):
        fault = fault_of(effect, end_s=BEGAN_S + seconds)
        window = {"f1": Window(BEGAN_S, BEGAN_S + seconds, BEGAN_S + seconds)}
        verdicts = {
            strength: [_drawn(random, fault, window, seconds, strength) for _ in range(300)] for strength in (1.0, 0.5)
        }
        assert verdicts[1.0].count(False) <= refused_at_most
        assert seconds < 5 or not any(verdicts[0.5])


def _drawn(random: Random, fault: PlannedFault, window: dict[str, Window], seconds: int, strength: float) -> bool:
    """Whether a delay of 300 ± 290 ms, or half of it, is shown, with 2 ms of noise."""

    def see(t: float) -> Probe:
        added = strength * random.uniform(10, 590) if BEGAN_S <= t <= BEGAN_S + seconds else 0.0
        return Probe(t, True, 5.0 + added + random.uniform(0, 2), True, 5.0 + random.uniform(0, 2), WHOLE, WHOLE)

    probes = [see(n / 4) for n in range(int(LAST_S * 4))]
    return judge_evidence(fault, window, (fault,), Samples({PROXY: probes}, {}), MET).ok


def test_a_fault_that_should_do_nothing_and_does_something_is_not_shown() -> None:
    kind = registry()["noop"]
    fault = fault_of(kind.effect(decode_settings(kind, {"link": "a.b"})), kind="noop")
    assert judged(fault, [_well(t) for t in TIMES]).ok
    assert not judged(fault, [_while(on, _late_by(200))(t) for t in TIMES]).ok
    assert not judged(fault, [_while(on, _cut_off)(t) for t in TIMES]).ok


def test_what_was_killed_and_is_not_what_the_proxy_leads_to_is_not_shown() -> None:
    killed = next(case for case in CASES if case.kind == "service/kill")
    seen = judged(_fault(killed), [_while(on, _another_gone)(t) for t in TIMES])
    assert not seen.ok, seen.detail
    answered = next(case for case in CASES if case.kind == "toxiproxy/down")
    assert not judged(_fault(answered), [_while(on, _gone)(t) for t in TIMES]).ok


@pytest.mark.parametrize("kind", OBSERVED)
def test_a_fault_that_its_observer_saw_at_other_times_is_not_shown(kind: str) -> None:
    there, told = OBSERVED[kind]
    fault = fault_of(Effect("observed"), kind=kind, watched=())
    assert judged(fault, glances=glances_of(on)).ok
    lie = judged(fault, glances=glances_of(there))
    assert not lie.ok, lie.detail
    assert told in lie.detail


def test_what_another_fault_s_observer_saw_shows_nothing() -> None:
    fault = fault_of(Effect("observed"), watched=())
    seen = judge_evidence(fault, {"f1": GONE}, (fault,), Samples({}, {"f2": glances_of(on)}), MET)
    assert not seen.ok, seen.detail


def _counted(share: Callable[[int], float], per_s: float = 10) -> EvidenceResult:
    kind = registry()["http/admin"]
    calls = f'link_calls_total{{link="{LINK}"}}'
    settings = {
        "service": "b",
        "method": "POST",
        "path": "/x",
        "undo": {"method": "DELETE", "path": "/x"},
        "counted": {"part": calls.replace("}", ',outcome="error"}'), "of": calls, "share": 0.4},
    }
    failed = counter(lambda second: per_s * share(second), outcome="error")
    well = counter(lambda second: per_s * (1 - share(second)), outcome="ok")
    fault = fault_of(kind.effect(decode_settings(kind, settings)), watched=())
    return judged(fault, counters=Counters([failed, well]))


def _full(second: int) -> float:
    return 0.4 if on(second) else 0.0


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (lambda second: 0.0, "it was 0 %"),
        (lambda second: 0.1 if on(second) else 0.0, "must be 20 % to 60 %"),
        (lambda second: 0.2 if on(second) else 0.0, "that may be half of the declared 40 %"),
        (lambda second: 0.4 if on(second) and second < ENDED_S - 6 else 0.0, "in quarter 4 of its time it was 0 %"),
        (lambda second: 0.4 if BEGAN_S <= second < ENDED_S + 10 else 0.0, "right after it"),
        (lambda second: 0.4, "before the fault, too"),
    ],
    ids=["nothing", "a quarter as strong", "half as strong", "ends early", "outlives it", "always there"],
)
def test_a_share_that_is_counted_must_be_there_all_the_time_and_no_longer(
    share: Callable[[int], float], told: str
) -> None:
    assert _counted(_full).ok
    lie = _counted(share)
    assert not lie.ok, lie.detail
    assert told in lie.detail


def test_too_few_that_are_counted_say_what_to_do() -> None:
    seen = _counted(_full, per_s=0.5)
    assert not seen.ok
    assert "raise load.peak_per_s to " in seen.detail
    assert "or lengthen the fault (`for`)" in seen.detail


def test_a_share_out_of_bounds_by_chance_alone_is_not_shown_either() -> None:
    seen = _counted(lambda second: 0.17 if on(second) else 0.0, per_s=3)
    assert not seen.ok
    assert "of so few that may be chance: raise load.peak_per_s, or lengthen the fault" in seen.detail


def test_calls_of_a_replica_that_the_fault_is_not_on_have_not_met_it() -> None:
    def calls(instance: str) -> Series:
        return counter(lambda _: 10, outcome="ok", instance=instance)

    fault = fault_of(Effect("unreachable"))
    probes = {PROXY: [_while(on, _cut_off)(t) for t in TIMES]}
    for instance, ok in (("checkout[0]", True), ("checkout[1]", False)):
        counters = Counters([calls(instance)])
        seen = judge_evidence(fault, {"f1": GONE}, (fault,), Samples(probes, {}), counters)
        assert seen.ok is ok, seen.detail
    assert judge_evidence(fault, {"f1": GONE}, (fault,), Samples(probes, {}), MET).ok


@pytest.mark.parametrize(
    ("probe", "told"),
    [
        (
            lambda t: Probe(t, False, 5.0, False, 5.0, 90, 90, "status 404 to GET /metrics"),
            "not even beside its proxy (status 404 to GET /metrics): give the service a /metrics that answers 200",
        ),
        (lambda t: Probe(t, True, 5.0, True, 5.0, 300, 300), "a whole answer of it has 300 bytes at most"),
    ],
    ids=["no /metrics", "a short one"],
)
def test_a_service_of_which_nothing_long_can_be_asked_is_told_what_to_do(probe: See, told: str) -> None:
    effect = Effect("cut-short", whole_answers=True, at_most_bytes=1000)
    assert told in judged(fault_of(effect), [probe(t) for t in TIMES]).detail
