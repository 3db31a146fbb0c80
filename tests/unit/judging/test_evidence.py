"""Each measure of a fault's effect: what shows it, what does not, and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from crashcart.judging import judge
from crashcart.judging.counters import Counters, Series
from crashcart.judging.evidence import STARTED, Window, judge_evidence, metrics
from crashcart.judging.looking import Glance, Probe, Samples
from crashcart.model.plan import Counted, Effect
from crashcart.model.recording import ProbeSample
from crashcart.model.slo import parse_selector
from tests.unit.judging.recordings import MadeUp
from tests.unit.judging.samples import (
    BEGAN_S,
    ENDED_S,
    GONE,
    LINK,
    MET,
    counter,
    fault_of,
    glances_of,
    judged,
    on,
    probes_of,
)

FAILED = parse_selector(f'link_calls_total{{link="{LINK}",outcome="error"}}')
CALLS = parse_selector(f'link_calls_total{{link="{LINK}"}}')
SHARE = Effect("counted", counted=Counted(FAILED, CALLS, 0.05, 0.2))

OBSERVED = fault_of(Effect("observed"), watched=())


def test_what_an_observer_sees_all_the_time_and_not_outside_it_is_shown() -> None:
    seen = judged(OBSERVED, glances=glances_of(on, lambda t: 40.0 if on(t) else 2.0))
    assert seen.ok, seen.detail
    assert seen.detail.startswith(
        "100 % of the looks of its observer during the fault showed it (median 40, 2 outside it), 0 % outside it; "
    )
    assert (seen.seen_share, seen.outside_share, seen.measured_ms) == (1.0, 0.0, None)
    assert seen.samples > 200


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (lambda t: False, "only 0 % of the looks of its observer during the fault showed it, 95 % must"),
        (lambda t: on(t) and t < 40, "% of the looks of its observer during the fault showed it, 95 % must"),
        (lambda t: t >= BEGAN_S, "% of the looks of its observer outside the fault showed it too"),
        (lambda t: True, "100 % of the looks of its observer outside the fault showed it too"),
    ],
)
def test_what_an_observer_does_not_see_or_sees_at_other_times_is_not_shown(
    there: Callable[[float], bool], told: str
) -> None:
    seen = judged(OBSERVED, glances=glances_of(there))
    assert not seen.ok
    assert told in seen.detail


@pytest.mark.parametrize(
    ("keep", "told"),
    [
        (lambda t: not on(t) or t < 27, "only 6 looks were made during the fault"),
        (lambda t: t > 23, "no look was made before the fault"),
        (lambda t: t < ENDED_S, "no look was made after the fault"),
    ],
)
def test_an_observer_that_did_not_look_has_seen_nothing(keep: Callable[[float], bool], told: str) -> None:
    seen = judged(OBSERVED, glances=[one for one in glances_of(on) if keep(one.t)])
    assert (seen.ok, seen.detail.split(";")[0]) == (False, told)


def test_an_observer_that_could_not_look_says_why() -> None:
    blind = [Glance(n / 4, False, 5.0, None, "could not look: no such table") for n in range(280)]
    assert judged(OBSERVED, glances=blind).detail == "its observer never saw it: could not look: no such table"


def test_a_look_that_was_still_under_way_when_the_undoing_began_says_nothing() -> None:
    slow = [Glance(t, on(t) and t < 43.6, 2000.0 if t >= 43.6 else 5.0, None, "") for t in (n / 4 for n in range(280))]
    late = [one for one in slow if not (one.t > 44 and on(one.t))]
    assert judged(OBSERVED, glances=late).ok


def test_a_fault_on_no_link_needs_no_calls_and_says_so() -> None:
    seen = judged(msgspec.structs.replace(OBSERVED, links=()), glances=glances_of(on))
    assert seen.ok
    assert seen.detail.endswith("it is on no link, so no calls were asked for")


def test_looks_that_another_fault_may_have_disturbed_do_not_count() -> None:
    other = msgspec.structs.replace(OBSERVED, id="f2", start_s=50.0, end_s=60.0)
    windows = {"f1": GONE, "f2": Window(50.0, 60.0, 60.0)}
    glances = glances_of(lambda t: on(t) or 50 <= t <= 60)
    samples = Samples({}, {"f1": glances, "f2": glances})
    for fault in (OBSERVED, other):
        assert judge_evidence(fault, windows, (OBSERVED, other), samples, MET).ok
    elsewhere = msgspec.structs.replace(other, targets=("mail[0]",), links=())
    assert not judge_evidence(OBSERVED, windows, (OBSERVED, elsewhere), samples, MET).ok


def _failing(inside: float, outside: float = 0.0) -> Counters:
    share: Callable[[int], float] = lambda second: 10 * (inside if on(second) else outside)  # noqa: E731
    return Counters(
        [
            counter(share, outcome="error"),
            counter(lambda second: 10 - share(second), outcome="ok"),
        ]
    )


def test_a_share_that_the_clients_counted_within_its_bounds_is_shown() -> None:
    seen = judged(fault_of(SHARE, watched=()), counters=_failing(0.1, 0.01))
    assert seen.ok, seen.detail
    assert seen.detail.startswith("10 % (18 of 180) of link_calls_total")
    assert ", 0.83 % (4 of 480) outside it; " in seen.detail
    assert "must be 5 % to 20 %" in seen.detail
    assert seen.seen_share == 0.1


@pytest.mark.parametrize(
    ("counters", "told"),
    [
        (_failing(0.0), "it was 0 % (0 of 180) during the fault, and must be 5 % to 20 %"),
        (_failing(0.5), "it was 50 % (90 of 180) during the fault, and must be 5 % to 20 %"),
        (_failing(0.1, 0.1), "before the fault, too, and must be under 5 % there"),
        (Counters([]), "no data: nothing counts link_calls_total"),
        (Counters([counter(lambda s: 1, outcome="ok")]), "only 18 events of link_calls_total"),
        (
            Counters([counter(lambda s: 1.5, outcome="ok"), counter(lambda s: 0.1 * on(s), outcome="error")]),
            "could be what is there anyway",
        ),
    ],
)
def test_a_share_out_of_bounds_or_there_all_the_time_or_of_too_few_is_not_shown(counters: Counters, told: str) -> None:
    seen = judged(fault_of(SHARE, watched=()), counters=counters)
    assert not seen.ok
    assert told in seen.detail


def test_a_share_that_stays_when_the_fault_has_gone_is_not_its_own() -> None:
    stays = Counters(
        [
            counter(lambda second: 1.0 if second >= BEGAN_S else 0.0, outcome="error"),
            counter(lambda second: 9.0 if second >= BEGAN_S else 10.0, outcome="ok"),
        ]
    )
    assert "after the fault, too" in judged(fault_of(SHARE, watched=()), counters=stays).detail


def test_a_counter_that_was_reset_or_born_late_is_counted_from_zero() -> None:
    reset = Series("m", {}, (0.0, 1.0, 2.0, 3.0), (5.0, 8.0, 2.0, 4.0))
    assert reset.between(0.0, 3.0) == 7.0
    born = Series("m", {}, (2.0, 3.0), (1.0, 4.0))
    assert born.between(0.0, 3.0) == 4.0
    assert Series("m", {}, (1.0, 2.0), (1.0, math.nan)).between(0.0, 3.0) == 1.0


def test_what_a_fault_counts_is_read_from_the_recording() -> None:
    counters = {"link_calls_total", "link_calls_started_total", "shopper_events_total"}
    assert set(metrics((fault_of(SHARE),))) == counters


def _begun(per_s: Callable[[int], float], link: str = LINK) -> Series:
    return replace(counter(per_s), metric=STARTED, labels={"link": link})


def _none_ends_in_it(second: int) -> float:
    return 0.0 if on(second) else 10.0


def test_calls_that_hang_in_a_fault_have_met_it_where_they_are_counted_when_they_begin() -> None:
    hung = counter(_none_ends_in_it, outcome="timeout")
    late = judged(OBSERVED, glances=glances_of(on), counters=Counters([hung]))
    assert (late.ok, late.calls) == (False, 0)
    met = judged(OBSERVED, glances=glances_of(on), counters=Counters([hung, _begun(lambda _: 2)]))
    assert met.ok, met.detail
    assert met.calls == 38


@pytest.mark.parametrize(
    ("counters", "calls"),
    [
        ([counter(lambda _: 10, outcome="ok"), _begun(_none_ends_in_it)], 0),
        ([counter(_none_ends_in_it, outcome="ok"), _begun(lambda _: 10, "checkout.inventory")], 0),
    ],
    ids=["what began before it and ends in it", "what begins on another link"],
)
def test_calls_that_began_before_a_fault_or_elsewhere_have_not_met_it(counters: list[Series], calls: int) -> None:
    seen = judged(OBSERVED, glances=glances_of(on), counters=Counters(counters))
    assert (seen.ok, seen.calls) == (False, calls)


SLICES = ((0.0, 2.0), (6.0, 8.0), (12.0, 16.0))
FLAKY = fault_of(Effect("unreachable"), slices=SLICES)


def _in_slices(t: float) -> bool:
    return any(BEGAN_S + from_s <= t <= BEGAN_S + to_s for from_s, to_s in SLICES)


def _cut(down: Callable[[float], bool]) -> list[Probe]:
    return probes_of(lambda t: Probe(t, not down(t), 1.0, True, 1.0))


def test_a_fault_that_comes_and_goes_must_be_seen_in_its_slices_and_not_between_them() -> None:
    seen = judged(FLAKY, _cut(_in_slices))
    assert seen.ok, seen.detail
    assert seen.detail.startswith(
        "100 % of the probes during the fault in its 3 slices showed it, 0 % outside it, and "
    )


@pytest.mark.parametrize(
    ("down", "told"),
    [
        (on, "% of the probes outside the fault showed it too"),
        (lambda t: _in_slices(t) and t < 30, "of the probes during the fault showed it, 95 % must"),
        (lambda t: False, "only 0 % of the probes"),
        (lambda t: _in_slices(t - 3), "of the probes during the fault showed it, 95 % must"),
    ],
)
def test_a_fault_that_keeps_to_another_schedule_is_not_the_planned_one(
    down: Callable[[float], bool], told: str
) -> None:
    seen = judged(FLAKY, _cut(down))
    assert not seen.ok
    assert told in seen.detail


SLOW = fault_of(Effect("throughput", at_most_kb_s=55.0, whole_answers=True))


def _rated(inside_ms: float, size: int = 20_000, *, ok: bool = True) -> list[Probe]:
    def at(t: float) -> Probe:
        if not on(t):
            return Probe(t, True, 6.0, True, 5.0, 20_000, 20_000)
        return Probe(t, ok, inside_ms, True, 5.0, size, 20_000)

    return probes_of(at, per_s=2)


def test_a_rate_is_told_beside_the_declared_one() -> None:
    seen = judged(SLOW, _rated(400.0))
    assert seen.ok, seen.detail
    assert "(50.0 KB/s), 0 % outside it; must be 55 KB/s or less" in seen.detail
    assert seen.measured_ms is None


@pytest.mark.parametrize(
    ("probes", "ok"),
    [
        (_rated(2000.0, 15_000, ok=False), True),
        (_rated(300.0), False),
        (_rated(2000.0, 0, ok=False), False),
        (_rated(10.0, 300, ok=False), False),
    ],
    ids=["still coming when the probe gave up", "faster than declared", "nothing came", "cut off"],
)
def test_only_what_comes_slowly_is_slow(probes: Sequence[Probe], ok: bool) -> None:
    assert judged(SLOW, probes).ok is ok


def test_a_twin_that_was_slow_for_once_hides_no_delay_and_a_slow_machine_makes_none() -> None:
    slow = fault_of(Effect("added-latency", at_least_ms=90.0))

    def hiccup(t: float) -> Probe:
        return Probe(t, True, 105.0 if on(t) else 6.0, True, 80.0 if t % 1 == 0 else 6.0)

    assert judged(slow, probes_of(hiccup)).ok
    busy = probes_of(lambda t: Probe(t, True, 120.0 if on(t) else 6.0, True, 80.0 if on(t) else 6.0))
    assert not judged(slow, busy).ok


def test_an_answer_is_cut_short_when_some_of_it_came() -> None:
    cut = fault_of(Effect("cut-short", whole_answers=True))

    def with_size(size: int) -> list[Probe]:
        return probes_of(lambda t: Probe(t, not on(t), 5.0, True, 5.0, size if on(t) else 20_000, 20_000), per_s=2)

    assert judged(cut, with_size(2000)).ok
    assert not judged(cut, with_size(0)).ok
    assert not judged(cut, with_size(20_000)).ok


def test_whole_answers_are_asked_for_half_as_often_and_the_judge_knows() -> None:
    sparse = [probe for probe in _rated(400.0) if probe.t % 1 == 0 or not on(probe.t)]
    assert judged(SLOW, sparse).ok
    assert judged(SLOW, [probe for probe in sparse if probe.t % 2 == 0]).detail.startswith("only ")


def test_an_answer_that_came_only_when_the_fault_went_says_nothing_of_it() -> None:
    def paused(t: float) -> Probe:
        waits_ms = (ENDED_S - t) * 1000 + 1
        if not on(t):
            return Probe(t, True, 1.0, True, 1.0)
        return Probe(t, waits_ms < 2000, min(waits_ms, 2000), waits_ms < 2000, min(waits_ms, 2000))

    assert judged(fault_of(Effect("instance-down")), probes_of(paused)).ok


def test_a_recording_is_judged_by_what_its_observer_noted(run: MadeUp, tmp_path: Path) -> None:
    observed = msgspec.structs.replace(run.plan.faults[0], effect=Effect("observed"), watched=())
    run.plan = msgspec.structs.replace(run.plan, faults=(observed,))
    run.finished = False
    folder = run.write(tmp_path / "run")
    looks = [ProbeSample(n / 4, "f1", "observed", 25 <= n / 4 <= 35, 3.0, value=7.0) for n in range(240)]
    with (folder / "evidence.jsonl").open("ab") as file:
        file.writelines(msgspec.json.encode(one) + b"\n" for one in looks)
    seen = judge(folder).evidence[0]
    assert seen.ok, seen.detail
    assert "(median 7, 7 outside it)" in seen.detail


def test_looks_that_were_not_made_are_not_made_up_for_by_others_said_twice(run: MadeUp, tmp_path: Path) -> None:
    run.said = lambda quarter: 4 if quarter % 4 == 0 else 0
    seen = judge(run.write(tmp_path / "run")).evidence[0]
    assert not seen.ok
    assert "probes were made on both sides" in seen.detail
