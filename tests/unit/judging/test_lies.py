"""Faults that did not act as declared: for each kind one way in which that may happen, and the judge must not call it
shown. What the real fault looks like is judged beside it, so that none of these can be refused for another reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from crashcart.faults import decode_settings, registry
from crashcart.judging.counters import Counters, Series
from crashcart.judging.evidence import judge_evidence
from crashcart.judging.looking import Probe, Samples
from crashcart.model.plan import Effect, PlannedFault
from crashcart.model.verdict import EvidenceResult
from tests.unit.judging.planned import PROXY
from tests.unit.judging.samples import BEGAN_S, ENDED_S, GONE, LINK, MET, counter, fault_of, glances_of, judged, on

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


def _elsewhere(t: float) -> Probe:
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


def _stays(t: float) -> bool:
    return BEGAN_S <= t <= ENDED_S + 2.5


class Case(NamedTuple):
    kind: str
    settings: dict[str, Any]
    true: See
    lie: See
    told: str


LATE: dict[str, Any] = {"link": "a.b", "latency": "300ms"}
CASES = (
    Case("noop", {"link": "a.b"}, _well, _while(on, _late_by(200)), "showed it"),
    Case("toxiproxy/down", {"link": "a.b"}, _while(on, _cut_off), _while(on, _gone), "only 0 %"),
    Case("toxiproxy/timeout", {"link": "a.b"}, _while(on, _cut_off), _while(_ends_early, _cut_off), "% of the probes"),
    Case(
        "toxiproxy/reset", {"link": "a.b"}, _while(on, _cut_off), _while(_stays, _cut_off), "after it should have gone"
    ),
    Case("toxiproxy/latency", LATE, _while(on, _late_by(301)), _while(on, _late_by(150)), "only 0 %"),
    Case(
        "toxiproxy/bandwidth",
        {"link": "a.b", "rate_kb_s": 30},
        _while(on, _at_kb_s(30)),
        _while(on, _at_kb_s(60)),
        "only 0 %",
    ),
    Case(
        "toxiproxy/slicer",
        {"link": "a.b", "size": 200, "delay": "10ms"},
        _while(on, _at_kb_s(19)),
        _while(on, _cut_after(0)),
        "only 0 %",
    ),
    Case(
        "toxiproxy/limit-data",
        {"link": "a.b", "bytes": 1000},
        _while(on, _cut_after(1000)),
        _while(on, _cut_after(2000)),
        "only 0 %",
    ),
    Case(
        "toxiproxy/flaky", {"link": "a.b", "share": 0.4}, _while(_slices(), _cut_off), _while(on, _cut_off), "outside"
    ),
    Case("service/kill", {"service": "b"}, _while(on, _gone), _while(on, _elsewhere), "only 0 %"),
    Case("service/pause", {"service": "b"}, _while(on, _gone), _while(on, _cut_off), "only 0 %"),
    Case("network/partition", {"service": "b"}, _while(on, _gone), _while(_ends_early, _gone), "% of the probes"),
)
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


def test_for_every_kind_there_is_a_lie() -> None:
    assert {case.kind for case in CASES} | OBSERVED.keys() | {"http/admin"} == registry().keys()


@pytest.mark.parametrize("case", CASES, ids=[case.kind for case in CASES])
def test_a_fault_of_this_kind_that_did_not_act_as_declared_is_not_shown(case: Case) -> None:
    fault = _fault(case)
    true = judged(fault, [case.true(t) for t in TIMES])
    assert true.ok, true.detail
    lie = judged(fault, [case.lie(t) for t in TIMES])
    assert not lie.ok, lie.detail
    assert case.told in lie.detail


@pytest.mark.parametrize("kind", OBSERVED)
def test_a_fault_that_its_observer_saw_at_other_times_is_not_shown(kind: str) -> None:
    there, told = OBSERVED[kind]
    fault = fault_of(Effect("observed"), kind=kind, watched=())
    assert judged(fault, glances=glances_of(on)).ok
    lie = judged(fault, glances=glances_of(there))
    assert not lie.ok, lie.detail
    assert told in lie.detail


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
        (lambda second: 0.4 if on(second) and second < ENDED_S - 6 else 0.0, "in quarter 4 of its time it was 0 %"),
        (lambda second: 0.4 if BEGAN_S <= second < ENDED_S + 10 else 0.0, "right after it"),
        (lambda second: 0.4, "before the fault, too"),
    ],
    ids=["nothing", "a quarter as strong", "ends early", "outlives it", "always there"],
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
