from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from crashcart.model.fault import LogRecord
from crashcart.model.plan import Effect
from crashcart.model.recording import SeriesSample
from crashcart.model.verdict import Outcome, Verdict
from tests.unit.judging.planned import PROXY
from tests.unit.judging.recordings import MadeUp, Told

Judged = Callable[[MadeUp], Verdict]
Spoil = Callable[[MadeUp], None]


def _event(name: str, t: float, **data: Any) -> Spoil:
    return lambda run: run.events.append((name, t, data))


def _load_that_stops_starting(run: MadeUp) -> None:
    for second in range(26, 30):
        run.pace[second] = (80, 40)


def _load_with_another_schedule(run: MadeUp) -> None:
    for second in range(5, 25):
        run.pace[second] = (60, 60)


def _load_that_falls_silent(run: MadeUp) -> None:
    del run.pace[30]


def _late_load(run: MadeUp) -> None:
    run.late = 2


def _fault_without_effect(run: MadeUp) -> None:
    run.sees = lambda t, side: (True, 1.0)


def _fault_that_acts_half_the_time(run: MadeUp) -> None:
    run.sees = lambda t, side: (not (side == "through" and 25 <= t <= 35 and int(t) % 2), 1.0)


def _fault_that_lasts_too_long(run: MadeUp) -> None:
    run.sees = lambda t, side: (not (side == "through" and 25 <= t <= 45), 1.0)


def _dependency_that_is_gone_on_both_sides(run: MadeUp) -> None:
    run.sees = lambda t, side: (not 25 <= t <= 35, 1.0)


def _fault_that_nobody_meets(run: MadeUp) -> None:
    run.calls_per_s = 0


def _fault_on_an_unknown_link(run: MadeUp) -> None:
    fault = msgspec.structs.replace(run.plan.faults[0], links=("checkout.mail",))
    run.plan = msgspec.structs.replace(run.plan, faults=(fault,))


def _fault_that_came_late(run: MadeUp) -> None:
    run.without_event("fault-injected")
    run.events.append(("fault-injected", 28.0, {"fault": "f1", "took_s": 0.1}))
    run.sees = lambda t, side: (not (side == "through" and 28 <= t <= 35), 1.0)


def _fault_that_was_never_undone(run: MadeUp) -> None:
    run.without_event("fault-undone")


def _watchdog_acted(run: MadeUp) -> None:
    last = run.faultlog[-1]
    run.faultlog.append(LogRecord("undone", last.fault, last.step, 0.0, "w", "b", 0.0, "watchdog"))


def _miscounted(run: MadeUp) -> None:
    run.miscounted = 1


def _broken_load(run: MadeUp) -> None:
    run.summary["crashed"] = 1


def _load_that_does_not_settle(run: MadeUp) -> None:
    run.without_event("load-settled")
    run.events.append(("load-not-settled", 75.0, {"in_flight": 4}))


def _gate_closed(run: MadeUp) -> None:
    run.without_event("gate")
    row = {"objective": "baseline/purchase-success/all", "met": False, "reason": "0.5 of 400 events"}
    run.events.append(("gate", 25.0, {"passed": False, "results": [row]}))
    run.ended = "gate-closed"


def _interrupted(run: MadeUp) -> None:
    run.events.append(("interrupted", 40.0, {"how": "SIGINT"}))
    run.ended = "interrupted"


def _log_without(*ops: str) -> Spoil:
    def spoil(run: MadeUp) -> None:
        run.faultlog = [record for record in run.faultlog if record.op not in ops]

    return spoil


def _load_that_was_started_again(run: MadeUp) -> None:
    labels = '{"cohort": "amex", "honest": "yes", "instance": "again", "job": "load", "phase": "baseline"}'
    readings = ((-1.0, 0.0), (10.0, 5.0), (11.0, 0.0), (63.9999, 0.0))
    run.series += [SeriesSample("shopper_failures_total", labels, t, value) for t, value in readings]


CASES: list[tuple[Spoil, str, str]] = [
    (_load_that_stops_starting, "load-delivered", "fault: only 640 of 800 scheduled sessions began"),
    (_load_with_another_schedule, "load-delivered", "baseline: 1200 sessions were scheduled, the plan says 1600"),
    (_load_that_falls_silent, "load-delivered", "fault: the load wrote nothing for 1 of 10 seconds"),
    (_late_load, "lateness", "2.5 % of the sessions of baseline were more than 50 ms late"),
    (_fault_without_effect, "evidence", "only 0 % of the probes during the fault showed it"),
    (_fault_that_acts_half_the_time, "evidence", "of the probes during the fault showed it, 95 % must"),
    (_fault_that_lasts_too_long, "evidence", "of the probes outside the fault showed it too"),
    (_dependency_that_is_gone_on_both_sides, "evidence", "only 0 % of the probes"),
    (_fault_that_nobody_meets, "evidence", "its clients made 0 calls on it meanwhile, 10 are needed"),
    (_fault_on_an_unknown_link, "evidence", "no counter tells of calls on checkout.mail"),
    (_fault_that_came_late, "faults-on-time", "injected at 27.9 s, planned for 25.0 s"),
    (_fault_that_was_never_undone, "faults-on-time", "never undone"),
    (_watchdog_acted, "harness-parts", "the watchdog had to undo faults"),
    (_event("died", 30.0, part="prometheus", last_lines=[]), "harness-parts", "prometheus died"),
    (_event("died", 30.0, part="load", last_lines=[]), "harness-parts", "load died"),
    (
        _event("died", 30.0, part="toxiproxy", last_lines=[], removed=True),
        "harness-parts",
        "the container of toxiproxy was removed from the engine by somebody else at 30 s",
    ),
    (_load_that_does_not_settle, "harness-parts", "the load did not settle"),
    (_event("fault-failed", 26.0, fault="f1", doing="inject", error="no"), "harness-parts", "could not be done: no"),
    (_event("restarted", 30.0, part="toxiproxy"), "proxies", "toxiproxy had to be restarted"),
    (_miscounted, "shoppers-counted", "shopper_intended_total of all in recovery: 501 scraped, 500 written down"),
    (_load_that_was_started_again, "counters-whole", "shopper_failures_total fell: the load was started again"),
    (_broken_load, "load-unbroken", "1 ended in an error of its own"),
    (_event("clock-step", 30.0, by_s=3600.0), "clock", "set by +3600.00 s at 30 s"),
    (
        _event("scrape-gap", 64.0, job="load/load", from_s=27.0, to_s=32.0),
        "scrapes",
        "nothing was scraped of load/load",
    ),
    (_event("prometheus-error", 64.0, error="503"), "scrapes", "503"),
    (_gate_closed, "gate", "the gate was closed during the run: baseline/purchase-success/all: 0.5 of 400 events"),
    (_interrupted, "completed", "it was interrupted"),
    (_event("error", 64.0, traceback="Traceback\nValueError: ours"), "completed", "at its end: ValueError: ours"),
    (_event("guardrail", 59.9, reason="browse is 0.1"), "completed", "browse is 0.1"),
    (_event("interrupted", 64.0, how="SIGINT"), "completed", "something went wrong at its end"),
    (_log_without("will-inject", "injected", "will-undo", "undone"), "undone", "does not say that f1 was undone"),
]


@pytest.mark.parametrize(("spoil", "name", "detail"), CASES)
def test_a_run_that_does_not_count_says_why_and_proves_nothing(
    run: MadeUp, judged: Judged, spoil: Spoil, name: str, detail: str
) -> None:
    spoil(run)
    verdict = judged(run)
    broken = {check.name: check.detail for check in verdict.validity if not check.ok}
    assert name in broken, broken
    assert detail in broken[name]
    assert all(bool(check.remedy) != check.ok for check in verdict.validity)
    assert not verdict.valid
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert {one.outcome for one in verdict.objectives} == {Outcome.INCONCLUSIVE}
    assert verdict.recovery is not None
    assert verdict.recovery.outcome is Outcome.INCONCLUSIVE


HARMLESS: list[Spoil] = [
    _event("scrape-gap", 64.0, job="payments/payments[0]", from_s=27.0, to_s=32.0),
    _event("scrape-gap", 64.0, job="load/load", from_s=-3.0, to_s=1.0),
    _event("died", 30.0, part="payments[0]", last_lines=[]),
    _event("load-error", 30.0, error="did not answer in time"),
]


@pytest.mark.parametrize("spoil", HARMLESS)
def test_what_bears_on_no_objective_does_not_spoil_a_run(run: MadeUp, judged: Judged, spoil: Spoil) -> None:
    spoil(run)
    assert judged(run).outcome is Outcome.PASS


def test_a_service_that_died_by_itself_does_not_spoil_a_run_but_is_said_everywhere(run: MadeUp, judged: Judged) -> None:
    _event("died", 30.0, part="payments[0]", last_lines=[])(run)
    verdict = judged(run)
    check = next(check for check in verdict.validity if check.name == "shop-parts")
    assert (check.ok, check.detail.partition(":")[0]) == (True, "payments[0] died by itself at 30 s")
    assert verdict.look_at == ("payments[0] of the shop died by itself at 30 s: logs/payments[0].log",)
    assert verdict.headline.endswith(", although payments[0] died by itself at 30 s.")


REMOVED = "the container of payments[0] was removed from the engine by somebody else at 30 s"


@pytest.mark.parametrize("aimed_at", [False, True], ids=["no fault is aimed at it", "a fault is aimed at it"])
def test_a_service_that_somebody_took_away_spoils_the_run_and_is_not_held_against_the_shop(
    run: MadeUp, judged: Judged, aimed_at: bool
) -> None:
    if aimed_at:
        aimed = msgspec.structs.replace(run.plan.faults[0], targets=(PROXY, "payments[0]"))
        run.plan = msgspec.structs.replace(run.plan, faults=(aimed,))
    _event("died", 30.0, part="payments[0]", last_lines=[], removed=True)(run)
    verdict = judged(run)
    (check,) = (check for check in verdict.validity if not check.ok)
    assert (check.name, check.detail) == ("shop-parts", f"{REMOVED}: that is not the shop's failing")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert {one.outcome for one in verdict.objectives} == {Outcome.INCONCLUSIVE}
    assert REMOVED in verdict.headline
    assert "died" not in " ".join((verdict.headline, *verdict.look_at))


def test_a_run_that_broke_down_because_somebody_took_a_part_of_it_says_so(run: MadeUp, judged: Judged) -> None:
    _event("died", 30.0, part="payments[0]", last_lines=[], removed=True)(run)
    run.ended = "broken"
    check = next(check for check in judged(run).validity if check.name == "completed")
    assert check.detail == f"it broke down: {REMOVED}"


def test_a_service_that_a_fault_is_aimed_at_did_not_die_by_itself(run: MadeUp, judged: Judged) -> None:
    aimed = msgspec.structs.replace(run.plan.faults[0], targets=(PROXY, "payments[0]"))
    run.plan = msgspec.structs.replace(run.plan, faults=(aimed,))
    _event("died", 30.0, part="payments[0]", last_lines=[])(run)
    verdict = judged(run)
    assert "died by itself" not in verdict.headline
    assert verdict.look_at == ("payments[0] of the shop died at 30 s: logs/payments[0].log",)


def _killed(run: MadeUp) -> None:
    killed = msgspec.structs.replace(
        run.plan.faults[0], kind="service/kill", targets=("payments[0]",), effect=Effect("instance-down", settle_s=5.0)
    )
    run.plan = msgspec.structs.replace(run.plan, faults=(killed,))
    run.sees = lambda t, side: (not 25 <= t <= 38, 1.0)


def test_a_killed_service_may_boot_after_its_fault_and_is_not_scraped_meanwhile(run: MadeUp, judged: Judged) -> None:
    _killed(run)
    slo = run.plan.slos[1]
    _event("scrape-gap", 64.0, job="payments/payments[0]", from_s=25.5, to_s=38.0)(run)
    labels = '{"cohort":"all","job":"payments","le":"+Inf","phase":"warmup","sli":"checkout"}'
    run.series.append(SeriesSample(slo.total.metric, labels, 1.0, 0.0))
    assert judged(run).outcome is Outcome.PASS


def test_a_gap_of_a_gating_service_that_was_not_killed_spoils_the_run(run: MadeUp, judged: Judged) -> None:
    slo = run.plan.slos[1]
    labels = '{"cohort":"all","job":"payments","le":"+Inf","phase":"warmup","sli":"checkout"}'
    run.series.append(SeriesSample(slo.total.metric, labels, 1.0, 0.0))
    _event("scrape-gap", 64.0, job="payments/payments[0]", from_s=25.5, to_s=38.0)(run)
    assert [check.name for check in judged(run).validity if not check.ok] == ["scrapes"]


def test_added_latency_is_measured_against_the_probe_beside(run: MadeUp, judged: Judged) -> None:
    slow = msgspec.structs.replace(run.plan.faults[0], effect=Effect("added-latency", at_least_ms=270.0))
    run.plan = msgspec.structs.replace(run.plan, faults=(slow,))
    run.sees = lambda t, side: (True, 306.0 if side == "through" and 25 <= t <= 35 else 5.0)
    verdict = judged(run)
    assert verdict.outcome is Outcome.PASS
    assert verdict.evidence[0].measured_ms == 301.0
    assert "(+301 ms)" in verdict.evidence[0].detail


def test_a_delay_smaller_than_declared_is_no_evidence(run: MadeUp, judged: Judged) -> None:
    slow = msgspec.structs.replace(run.plan.faults[0], effect=Effect("added-latency", at_least_ms=270.0))
    run.plan = msgspec.structs.replace(run.plan, faults=(slow,))
    run.sees = lambda t, side: (True, 200.0 if side == "through" and 25 <= t <= 35 else 5.0)
    assert judged(run).outcome is Outcome.INCONCLUSIVE


def test_a_delay_beyond_the_probes_patience_counts_as_that_long(run: MadeUp, judged: Judged) -> None:
    slow = msgspec.structs.replace(run.plan.faults[0], effect=Effect("added-latency", at_least_ms=1900.0))
    run.plan = msgspec.structs.replace(run.plan, faults=(slow,))
    late = (False, 2000.0)
    run.sees = lambda t, side: late if side == "through" and 25 <= t <= 35 else (True, 5.0)
    assert judged(run).evidence[0].ok


def test_a_fault_that_does_nothing_is_shown_to_do_nothing(run: MadeUp, judged: Judged) -> None:
    noop = msgspec.structs.replace(run.plan.faults[0], kind="noop", effect=Effect("none", at_least_ms=20.0))
    run.plan = msgspec.structs.replace(run.plan, faults=(noop,))
    run.sees = lambda t, side: (True, 3.0)
    verdict = judged(run)
    assert verdict.evidence[0].ok
    assert verdict.evidence[0].detail == "100 % of the probes saw no difference; 180 calls of its clients met it"


def test_a_fault_that_should_do_nothing_and_does_something_is_found_out(run: MadeUp, judged: Judged) -> None:
    noop = msgspec.structs.replace(run.plan.faults[0], kind="noop", effect=Effect("none", at_least_ms=20.0))
    run.plan = msgspec.structs.replace(run.plan, faults=(noop,))
    assert not judged(run).evidence[0].ok


def test_two_faults_on_one_proxy_do_not_count_against_each_other(run: MadeUp, judged: Judged) -> None:
    first = msgspec.structs.replace(run.plan.faults[0], end_s=29.0)
    second = msgspec.structs.replace(run.plan.faults[0], id="f2", start_s=31.0)
    run.plan = msgspec.structs.replace(run.plan, faults=(first, second))
    run.without_event("fault-injected")
    run.without_event("fault-undone")
    for fault, name, t in (
        ("f1", "fault-injected", 25.0),
        ("f1", "fault-undone", 29.0),
        ("f2", "fault-injected", 31.0),
        ("f2", "fault-undone", 35.0),
    ):
        _event(name, t, fault=fault, took_s=0.01)(run)
    run.faultlog += [msgspec.structs.replace(record, fault="f2") for record in run.faultlog]
    run.sees = lambda t, side: (not (side == "through" and (25 <= t <= 29 or 31 <= t <= 35)), 1.0)
    assert judged(run).outcome is Outcome.PASS


def test_a_fault_on_the_front_door_is_met_by_the_shoppers_own_events(run: MadeUp, judged: Judged) -> None:
    door = msgspec.structs.replace(run.plan.faults[0], links=("shoppers.storefront",))
    run.plan = msgspec.structs.replace(run.plan, faults=(door,))
    labels = '{"cohort":"all","job":"load","outcome":"ok","phase":"fault","sli":"browse"}'
    run.series += [SeriesSample("shopper_events_total", labels, float(t), max(0.0, t - 25) * 30) for t in range(-1, 36)]
    assert judged(run).evidence[0].calls == 270


def test_counters_that_began_in_the_middle_say_nothing_of_what_was_before(run: MadeUp, judged: Judged) -> None:
    labels = '{"cohort": "all", "job": "other", "le": "0.5", "phase": "baseline", "sli": "checkout"}'
    run.series.append(SeriesSample("shopper_latency_seconds_bucket", labels, 20.0, 7.0))
    one = next(one for one in judged(run).objectives if one.slo == "checkout-latency")
    assert one.outcome is Outcome.INCONCLUSIVE
    assert one.reason.startswith("no data before")


def test_a_counter_that_was_reset_says_nothing(run: MadeUp, judged: Judged) -> None:
    labels = '{"cohort": "all", "job": "other", "le": "0.5", "phase": "baseline", "sli": "checkout"}'
    metric = "shopper_latency_seconds_bucket"
    run.series += [SeriesSample(metric, labels, t, v) for t, v in ((-1.0, 0.0), (10.0, 5.0), (11.0, 0.0), (20.0, 3.0))]
    one = next(one for one in judged(run).objectives if one.slo == "checkout-latency")
    assert (one.outcome, one.reason) == (Outcome.INCONCLUSIVE, f"{metric} was reset during the run")


def test_probes_of_another_proxy_are_no_evidence(run: MadeUp, judged: Judged) -> None:
    other = msgspec.structs.replace(run.plan.faults[0], watched=(PROXY, "checkout[0].mail[0]"))
    run.plan = msgspec.structs.replace(run.plan, faults=(other,))
    verdict = judged(run)
    assert not verdict.evidence[0].ok
    assert verdict.evidence[0].detail.startswith("only 0 probes were made on both sides")


def test_lines_that_cannot_be_read_spoil_a_run(run: MadeUp, judged: Judged) -> None:
    def strange(told: Told) -> None:
        told.total_cents = "a lot"  # type: ignore[assignment]

    run.spoil(strange, 26.0, 26.01)
    broken = {check.name: check.detail for check in judged(run).validity if not check.ok}
    assert broken["recording"] == "intents.jsonl holds lines that are not what they should be"
