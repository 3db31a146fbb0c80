"""Recovery taken apart, links by phase, marks, and phases that an operator ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from crashcart.judging import judge
from crashcart.judging.papers import as_held
from crashcart.model.errors import BadFile
from crashcart.model.recording import Event, SeriesSample
from crashcart.model.verdict import LinkNumbers, Outcome, RecoveryResult, Verdict
from tests.unit.judging.planned import plan
from tests.unit.judging.recordings import MadeUp, Told

Judged = Callable[[MadeUp], Verdict]


def alert(name: str, *readings: tuple[float, float]) -> list[SeriesSample]:
    labels = json.dumps({"alert": name, "job": "storefront"})
    return [SeriesSample("alert_firing", labels, t, value) for t, value in readings]


def recovery(verdict: Verdict) -> RecoveryResult:
    assert verdict.recovery is not None
    return verdict.recovery


def test_the_alert_that_fired_first_after_the_fault_began_has_detected_it(run: MadeUp, judged: Judged) -> None:
    run.series += alert("late", (0.0, 0.0), (29.05, 1.0), (40.0, 0.0))
    run.series += alert("first", (0.0, 0.0), (10.0, 1.0), (12.0, 0.0), (27.05, 1.0), (60.0, 1.0))
    run.series += alert("was-on-already", (0.0, 1.0), (26.0, 1.0), (60.0, 1.0))
    found = recovery(judged(run))
    assert (found.detected_after_s, found.detected_by) == (2.0, "first")


def test_a_shop_without_alerts_has_detected_nothing(run: MadeUp, judged: Judged) -> None:
    found = recovery(judged(run))
    assert (found.detected_after_s, found.detected_by) == (None, "")


def test_without_an_operators_word_the_undo_of_the_fault_has_ended_its_cause(run: MadeUp, judged: Judged) -> None:
    run.events.append(("mark", 28.0, {"text": "I see errors"}))
    found = recovery(judged(run))
    assert (found.mitigated_after_s, found.mitigated_by) == (10.0, "the fault was taken back")


def test_an_operators_mark_says_when_the_cause_was_ended(run: MadeUp, judged: Judged) -> None:
    run.events += [("mark", 5.0, {"text": "mitigated"}), ("mark", 30.05, {"text": "Mitigated: the others took over"})]
    verdict = judged(run)
    found = recovery(verdict)
    assert (found.mitigated_after_s, found.mitigated_by) == (5.0, "Mitigated: the others took over")
    assert verdict.marks == ((5.0, "mitigated"), (30.05, "Mitigated: the others took over"))


def test_a_fault_that_was_never_taken_back_was_never_mitigated(run: MadeUp, judged: Judged) -> None:
    run.without_event("fault-undone")
    found = recovery(judged(run))
    assert (found.mitigated_after_s, found.mitigated_by) == (None, "")


def test_a_shop_that_stays_down_although_the_fault_is_gone_is_called_metastable(run: MadeUp, judged: Judged) -> None:
    def fails(told: Told) -> None:
        told.outcome = "failed"

    run.spoil(fails, 30.0)
    found = recovery(judged(run))
    assert (found.outcome, found.recovered_after_s) == (Outcome.FAIL, None)
    assert "metastable" in found.reason


def test_a_shop_that_is_merely_slow_to_come_back_is_not_called_metastable(run: MadeUp, judged: Judged) -> None:
    def fails(told: Told) -> None:
        told.outcome = "failed"

    run.spoil(fails, 30.0, 54.0)
    found = recovery(judged(run))
    assert found.outcome is Outcome.FAIL
    assert "metastable" not in found.reason


def test_links_are_told_phase_by_phase(run: MadeUp, judged: Judged) -> None:
    def grown(metric: str, *readings: tuple[float, float], **labels: str) -> None:
        text = json.dumps({"link": "a.b", **labels})
        run.series.extend(SeriesSample(metric, text, t, value) for t, value in readings)

    grown(
        "link_calls_total", (4.0, 10.0), (24.0, 110.0), (34.0, 20.0), outcome="ok"
    )  # started again in the fault phase
    grown("link_calls_total", (4.0, 0.0), (30.0, 7.0), outcome="timeout")
    grown("link_calls_total", (4.0, 0.0), (30.0, 3.0), outcome="saturated")
    grown("link_calls_total", (4.0, 0.0), (31.0, 2.0), outcome="short_circuited")
    grown("link_retries_total", (4.0, 0.0), (30.0, 4.0))
    for edge, n in (("0.1", 50.0), ("0.5", 99.0), ("+Inf", 100.0)):
        grown("link_call_duration_seconds_bucket", (4.0, 0.0), (24.0, n), le=edge)
    found = {(one.link, one.phase): one for one in judged(run).links}
    assert found["a.b", "baseline"] == LinkNumbers("a.b", "baseline", 100, 0, 0, 0, 100.0, 500.0)
    assert found["a.b", "fault"] == LinkNumbers("a.b", "fault", 27, 7, 5, 4, None, None)
    assert found["a.b", "recovery"].calls == 0


def test_beyond_the_last_edge_nothing_is_known_of_a_links_times(run: MadeUp, judged: Judged) -> None:
    for edge, n in (("0.1", 1.0), ("+Inf", 100.0)):
        labels = json.dumps({"link": "checkout.payments", "le": edge})
        run.series += [
            SeriesSample("link_call_duration_seconds_bucket", labels, t, value) for t, value in ((0.0, 0.0), (20.0, n))
        ]
    one = next(one for one in judged(run).links if one.phase == "baseline")
    assert (one.p50_ms, one.p99_ms) == (None, None)


def test_who_left_without_buying_has_abandoned_a_cart(run: MadeUp, judged: Judged) -> None:
    def leaves(told: Told) -> None:
        told.outcome = "gave_up" if told.network == "amex" else "blocked"

    run.spoil(leaves, 30.0, 31.0)
    cost = judged(run).cost
    assert (cost.carts_abandoned, cost.average_order_cents, cost.money_lost_cents) == (20, 1000, 20_000)


HELD = {
    "phases": [
        {"name": "warmup", "start_s": 0.0, "end_s": 5.0},
        {"name": "baseline", "start_s": 5.0, "end_s": 25.0},
        {"name": "fault", "start_s": 25.0, "end_s": 35.0},
        {"name": "recovery", "start_s": 35.0, "end_s": 60.0},
    ],
    "faults": [{"id": "f1", "start_s": 25.0, "end_s": 35.0}],
}


def test_a_phase_that_an_operator_ended_is_judged_by_the_times_that_it_had(
    run: MadeUp, judged: Judged, tmp_path: Path
) -> None:
    as_it_was = judged(run)
    longer = [
        msgspec.structs.replace(phase, start_s=phase.start_s + 600 * (phase.start_s > 25), end_s=phase.end_s + 600)
        if phase.end_s > 25
        else phase
        for phase in run.plan.phases
    ]
    fault = msgspec.structs.replace(run.plan.faults[0], end_s=635.0)
    assert run.plan.recovery is not None
    waits = msgspec.structs.replace(run.plan.recovery, from_s=635.0)
    longest = plan(phases=tuple(longer), faults=(fault,), recovery=waits)
    run.events.append(("phases", 30.0, HELD))
    run.finished = False
    directory = run.write(tmp_path / "held")
    (directory / "plan.json").write_bytes(msgspec.json.encode(longest))
    run.finish(directory)
    held = judge(directory)
    assert held.outcome is Outcome.PASS
    assert (held.objectives, held.recovery, held.phases) == (as_it_was.objectives, as_it_was.recovery, as_it_was.phases)


def test_the_last_word_on_the_phases_counts() -> None:
    phases = [("warmup", 0.0, 10.0), ("baseline", 10.0, 50.0), ("fault", 50.0, 70.0), ("recovery", 70.0, 120.0)]
    earlier = {"phases": [{"name": name, "start_s": start_s, "end_s": end_s} for name, start_s, end_s in phases]}
    events = [Event(1.0, "", "phases", earlier), Event(2.0, "", "phases", HELD)]
    assert as_held(plan(), events, Path("events.jsonl")).phases == plan().phases


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"phases": "none"},
        {"phases": []},
        {"phases": HELD["phases"][:3]},
        {"phases": [*HELD["phases"][:3], {"name": "recovery", "start_s": 36.0, "end_s": 60.0}]},
        {"phases": [*HELD["phases"][:3], {"name": "recovery", "start_s": 35.0, "end_s": 35.0}]},
    ],
)
def test_phases_that_do_not_fit_the_plan_are_refused(data: dict[str, object]) -> None:
    with pytest.raises(BadFile, match="phases"):
        as_held(plan(), [Event(1.0, "", "phases", data)], Path("events.jsonl"))
