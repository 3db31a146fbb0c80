"""The timeline on a fast small plan: what it does, in which order, and why it ends."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from crashcart.faults import registry
from crashcart.loading import open_project
from crashcart.loading.experiments import experiment_from_tree
from crashcart.loading.yamltree import parse_tree
from crashcart.model.errors import ControlPlaneError
from crashcart.model.holding import Hold
from crashcart.model.plan import Phase, Plan
from crashcart.model.topology import Topology
from crashcart.planning import Request, plan
from crashcart.running import drive, eyes
from crashcart.running.clock import RunClock, now_mono_s
from crashcart.running.crew import Crew
from crashcart.running.drive import Timeline
from crashcart.running.gate import judge_gate
from crashcart.running.hands import Hands
from crashcart.running.interrupts import Interrupts
from crashcart.running.sli import GuardrailWatch, Slis
from tests.unit.running.fakes import (
    FakeInjector,
    FakeLoad,
    FakeOperator,
    FakeReader,
    FakeRecorder,
    FakeStack,
    FakeState,
    FakeView,
    FakeWatchdog,
    Series,
)

ROOT = Path(__file__).parents[3]
TOPOLOGY = Topology("run", "/nowhere", "/nowhere", (), (), "http://127.0.0.1:1", "http://127.0.0.1:1")


def demo() -> Plan:
    text = (ROOT / "experiments" / "third-party" / "card-processor-outage-at-peak.yaml").read_text(encoding="utf-8")
    file = experiment_from_tree(parse_tree(text, "demo.yaml"))
    return plan(Request(file, open_project(ROOT), "local", lambda _: "", registry()))


def fast(made: Plan) -> Plan:
    """The same plan in a second and a half."""
    spans = [("warmup", 0.0, 0.2), ("baseline", 0.2, 0.5), ("fault", 0.5, 1.0), ("recovery", 1.0, 1.3)]
    phases = tuple(Phase(name, start, end, 800, 2667) for name, start, end in spans)
    fault = msgspec.structs.replace(made.faults[0], start_s=0.5, end_s=0.9)
    objectives = tuple(msgspec.structs.replace(o, expected_events=o.expected_events) for o in made.objectives)
    return msgspec.structs.replace(made, phases=phases, faults=(fault,), objectives=objectives)


def _healthy(made: Plan, *, good: float = 1.0) -> Series:
    """Counters of a baseline with that share of good events, for every cohort."""
    cohorts = ["all", *(f"{name}:{value}" for name, shares in made.load.cohorts.items() for value in shares)]
    rows: list[tuple[dict[str, str], float]] = []
    for cohort in cohorts:
        base = {"cohort": cohort, "phase": "baseline"}
        rows.append(({"__name__": "shopper_intended_total", **base}, 1000.0))
        for sli in ("purchase", "browse", "checkout", "cart"):
            events = {"__name__": "shopper_events_total", "sli": sli, **base}
            rows.append(({**events, "outcome": "ok"}, 1000.0 * good))
            rows.append(({**events, "outcome": "failed"}, 1000.0 * (1 - good)))
            latency = {"__name__": "shopper_latency_seconds_bucket", "sli": sli, **base}
            rows += [({**latency, "le": le}, 1000.0) for le in ("0.05", "0.1", "0.25", "0.5", "1.0", "2.0", "+Inf")]
    return rows


def _crew(made: Plan, reader: FakeReader) -> SimpleNamespace:
    recorder, injector, watchdog = FakeRecorder(), FakeInjector(), FakeWatchdog()
    stack, interrupts = FakeStack(TOPOLOGY), Interrupts()
    crew = Crew(
        plan=made,
        clock=RunClock(now_mono_s()),
        recorder=recorder,
        stack=stack,
        load=FakeLoad(),
        injector=injector,
        watchdog=watchdog,
        slis=Slis(made, reader),
        state=FakeState(),
        view=FakeView(),
        interrupts=interrupts,
        operator=FakeOperator(),
    )
    crew.load = FakeLoad(phases=made.phases)
    return SimpleNamespace(
        crew=crew, recorder=recorder, injector=injector, watchdog=watchdog, stack=stack, interrupts=interrupts
    )


def test_a_healthy_run_injects_undoes_and_completes() -> None:
    made = fast(demo())
    run = _crew(made, FakeReader(_healthy(made)))
    assert Timeline(run.crew).drive() == "completed"
    assert run.injector.done == ["inject f1", "undo f1"]
    assert [event["phase"] for event in run.recorder.named("phase")] == ["warmup", "baseline", "fault", "recovery"]
    assert [event["at"] for event in run.recorder.named("cpu")] == ["warmup", "baseline", "fault", "recovery", "end"]
    assert run.recorder.named("gate")[0]["passed"] is True
    assert run.watchdog.beats > 5


def test_a_fault_is_undone_before_the_next_one_on_its_target_is_done_wherever_it_stands_in_the_file() -> None:
    made = fast(demo())
    later = msgspec.structs.replace(made.faults[0], start_s=0.7, end_s=0.9)
    earlier = msgspec.structs.replace(made.faults[0], id="f2", start_s=0.5, end_s=0.7)
    made = msgspec.structs.replace(made, faults=(later, earlier))
    run = _crew(made, FakeReader(_healthy(made)))
    assert Timeline(run.crew).drive() == "completed"
    assert run.injector.done == ["inject f2", "undo f2", "inject f1", "undo f1"]


def test_what_was_done_is_dated_when_it_was_done_and_not_when_that_was_noticed() -> None:
    made = fast(demo())
    run = _crew(made, FakeReader())
    hands = Hands(run.crew)
    hands.act(made.faults[0].start_s)
    ((_, _, acting),) = hands._acting
    acting.result(timeout=10)
    done_by_s = run.crew.clock.t()
    hands.rest()
    (dated_s,) = run.recorder.times("fault-injected")
    assert dated_s <= done_by_s


def test_a_sick_baseline_closes_the_gate_and_nothing_is_injected() -> None:
    made = fast(demo())
    run = _crew(made, FakeReader(_healthy(made, good=0.9)))
    assert Timeline(run.crew).drive() == "gate-closed"
    assert run.injector.done == []
    assert run.recorder.named("gate")[0]["passed"] is False


def test_without_prometheus_the_gate_stays_closed() -> None:
    made = fast(demo())
    run = _crew(made, FakeReader(unreadable=True))
    assert Timeline(run.crew).drive() == "gate-closed"
    assert run.injector.done == []


def test_no_events_at_all_close_the_gate() -> None:
    made = fast(demo())
    run = _crew(made, FakeReader([]))
    assert Timeline(run.crew).drive() == "gate-closed"


def test_a_request_to_stop_ends_the_timeline() -> None:
    made = fast(demo())
    run = _crew(made, FakeReader(_healthy(made)))
    threading.Timer(0.6, run.interrupts.ask, ["SIGINT"]).start()
    assert Timeline(run.crew).drive() == "interrupted"
    assert run.recorder.named("interrupted")[0]["how"] == "SIGINT"


def test_the_watchdog_is_not_left_in_silence_while_a_fault_is_still_being_done() -> None:
    made = fast(demo())
    run = _crew(made, FakeReader(_healthy(made)))
    heard: list[int] = []

    def slow() -> None:
        run.interrupts.ask("SIGINT")
        while not run.recorder.named("interrupted"):
            time.sleep(0.01)
        before, until = run.watchdog.beats, time.monotonic() + 5
        while run.watchdog.beats < before + 3 and time.monotonic() < until:
            time.sleep(0.01)
        heard.append(run.watchdog.beats - before)

    run.injector.on_inject = slow
    assert Timeline(run.crew).drive() == "interrupted"
    assert heard[0] >= 3


@pytest.mark.parametrize("part", ["load", "toxiproxy", "prometheus"])
def test_a_dead_part_of_the_harness_ends_the_run(part: str) -> None:
    made = fast(demo())
    run = _crew(made, FakeReader(_healthy(made)))
    run.stack.dying = {part: ("its last words",)}
    assert Timeline(run.crew).drive() == "broken"
    assert run.recorder.named("died") == [{"part": part, "last_lines": ["its last words"]}]


def test_a_dead_watchdog_ends_the_run() -> None:
    made = fast(demo())
    run = _crew(made, FakeReader(_healthy(made)))
    run.watchdog.lives = False
    assert Timeline(run.crew).drive() == "broken"


def test_a_dead_service_is_noted_and_the_run_goes_on() -> None:
    made = fast(demo())
    run = _crew(made, FakeReader(_healthy(made)))
    run.stack.dying = {"cart[0]": ()}
    assert Timeline(run.crew).drive() == "completed"
    assert len(run.recorder.named("died")) == 1


def test_a_service_that_somebody_took_away_is_noted_as_such_and_ends_the_run() -> None:
    made = fast(demo())
    run = _crew(made, FakeReader(_healthy(made)))
    run.stack.dying, run.stack.taken = {"cart[0]": ("its last words",)}, {"cart[0]"}
    assert Timeline(run.crew).drive() == "broken"
    assert run.recorder.named("died") == [{"part": "cart[0]", "last_lines": ["its last words"], "removed": True}]


def test_too_many_events_under_way_close_the_gate() -> None:
    made = demo()
    hanging = [
        (labels, value * (3 if labels["__name__"] == "shopper_intended_total" else 1))
        for labels, value in _healthy(made)
    ]
    slis = Slis(made, FakeReader(hanging))
    slis.refresh(cohorts=True)
    missed = [result for result in judge_gate(made, slis) if not result.met]
    assert {result.objective.split("/")[1] for result in missed} == {"purchase-success"}
    assert "still under way" in missed[0].reason


def test_a_guardrail_trips_only_after_its_whole_window_is_bad() -> None:
    made = demo()
    reader = FakeReader()
    slis, rule = Slis(made, reader), made.guardrails[0]
    watch = GuardrailWatch(rule, made.slo(rule.slo))
    good = {"__name__": "shopper_events_total", "sli": "browse", "cohort": "all", "phase": "fault", "outcome": "ok"}
    bad = {**good, "outcome": "error"}
    said = []
    for t in range(12):
        reader.series = [(good, 100.0), (bad, 100.0 * t)]
        slis.refresh()
        said.append(watch.tripped(float(t), slis))
    assert said[:5] == [""] * 5
    assert "under the guardrail of 0.2" in said[6]


def test_a_guardrail_that_can_not_be_read_trips_after_three_seconds() -> None:
    made = demo()
    rule = made.guardrails[0]
    watch = GuardrailWatch(rule, made.slo(rule.slo))
    said = [watch.tripped(float(t), None) for t in range(5)]
    assert said[:4] == [""] * 4
    assert "could not be read for 4 s" in said[4]


def test_a_guardrail_whose_counters_stand_still_can_not_be_read_either() -> None:
    """Prometheus answers, with what it knew before."""
    made = demo()
    reader = FakeReader()
    slis, rule = Slis(made, reader), made.guardrails[0]
    watch = GuardrailWatch(rule, made.slo(rule.slo))
    good = {"__name__": "shopper_events_total", "sli": "browse", "cohort": "all", "phase": "fault", "outcome": "ok"}
    said = []
    for t in range(20):
        reader.series = [(good, 100.0 * min(t, 6))]
        slis.refresh()
        said.append(watch.tripped(float(t), slis))
    first = next(t for t, why in enumerate(said) if why)
    assert "could not be read" in said[first]
    assert 6 + rule.duration_s <= first <= 6 + rule.duration_s + 5


@pytest.mark.parametrize(("good", "opens"), [(0.985, True), (0.95, False)])
def test_a_baseline_that_misses_by_chance_opens_the_gate_and_one_that_is_sick_does_not(
    good: float, opens: bool
) -> None:
    """The objective is 0.99; 15 bad ones of 1,000 come by chance alone in one of ten runs, corrected for cohorts."""
    made = demo()
    slis = Slis(made, FakeReader(_healthy(made, good=good)))
    slis.refresh(cohorts=True)
    results = [one for one in judge_gate(made, slis) if one.objective.startswith("baseline/purchase-success")]
    assert results[0].wanted == 0.99
    assert all(one.met for one in results) is opens


def test_marks_stand_where_they_were_said() -> None:
    made = fast(demo())
    run = _crew(made, FakeReader(_healthy(made)))
    said = run.crew.clock.t0_mono_s + 0.01
    run.crew.operator = FakeOperator(said=[(said, "mitigated")])
    Timeline(run.crew).drive()
    assert run.recorder.named("mark") == [{"text": "mitigated"}]
    assert run.recorder.times("mark") == [pytest.approx(0.01)]
    assert "mark: mitigated" in run.crew.view.notes


def test_a_held_phase_goes_on_until_somebody_says_so_and_its_fault_with_it() -> None:
    made = fast(demo())
    spans = [("warmup", 0.0, 0.2), ("baseline", 0.2, 0.5), ("fault", 0.5, 60.0), ("recovery", 60.0, 60.3)]
    phases = tuple(Phase(name, start, end, 800, 2667) for name, start, end in spans)
    made = msgspec.structs.replace(
        made, phases=phases, faults=(msgspec.structs.replace(made.faults[0], start_s=0.5, end_s=60.0),)
    )
    run = _crew(made, FakeReader(_healthy(made)))
    run.crew.hold = Hold("fault", not_before_s=1.0)
    run.crew.operator = FakeOperator(goes_on_after=2)
    assert Timeline(run.crew).drive() == "completed"
    assert run.crew.operator.held == ["fault", "let go"]
    [cut] = run.crew.load.cuts
    assert cut[0] == "fault"
    [changed], [held] = run.recorder.named("phases"), run.recorder.named("held")
    assert held["end_s"] == run.crew.plan.phase("fault").end_s == pytest.approx(cut[1])
    assert [phase["name"] for phase in changed["phases"]] == ["warmup", "baseline", "fault", "recovery"]
    assert 1.0 < changed["faults"][0]["end_s"] <= cut[1]
    assert run.injector.done == ["inject f1", "undo f1"]
    assert [event["phase"] for event in run.recorder.named("phase")][-1] == "recovery"
    assert run.crew.plan.duration_s == pytest.approx(cut[1] + 0.3)


def test_a_held_phase_that_nobody_ends_ends_at_its_longest() -> None:
    made = fast(demo())
    run = _crew(made, FakeReader(_healthy(made)))
    run.crew.hold = Hold("fault", not_before_s=0.7)
    assert Timeline(run.crew).drive() == "completed"
    assert run.recorder.named("held")[0]["end_s"] == 1.0
    assert run.crew.load.cuts == []


def test_a_load_that_can_not_be_told_that_a_phase_ends_breaks_the_run() -> None:
    made = fast(demo())
    run = _crew(made, FakeReader(_healthy(made)))

    class Deaf(FakeLoad):
        def cut(self, phase: str, end_s: float) -> tuple[Phase, ...]:
            raise ControlPlaneError("no answer")

    run.crew.load, run.crew.hold = Deaf(), Hold("fault", not_before_s=0.6)
    run.crew.operator = FakeOperator(goes_on_after=0)
    assert Timeline(run.crew).drive() == "broken"
    assert run.recorder.named("load-error")


def test_a_load_that_broke_ends_the_run() -> None:
    made = fast(demo())
    run = _crew(made, FakeReader(_healthy(made)))
    run.crew.load = FakeLoad(broken="Traceback\nZeroDivisionError: ours")
    assert Timeline(run.crew).drive() == "broken"
    assert run.recorder.named("load-broken") == [{"error": "ZeroDivisionError: ours"}]


def test_shoppers_who_can_not_be_started_are_told_of_once() -> None:
    made = fast(demo())
    run = _crew(made, FakeReader(_healthy(made)))
    run.crew.load = FakeLoad(not_started=7)
    assert Timeline(run.crew).drive() == "completed"
    assert len([note for note in run.crew.view.notes if "will not count" in note]) == 1


@pytest.mark.parametrize("part", ["prometheus", "load", "toxiproxy"])
def test_a_part_that_does_not_answer_ends_the_run_and_keeps_nobody_waiting(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = msgspec.structs.replace(fast(demo()), guardrails=())
    run = _crew(made, FakeReader(_healthy(made)))
    monkeypatch.setattr(eyes, "SILENT_S", 0.3)
    monkeypatch.setattr(drive, "LOOK_EVERY_S", 0.1)
    given_up = threading.Event()

    def hang(*_: object, **__: object) -> None:
        given_up.wait(0.2)
        raise ControlPlaneError("no answer within 2 s")

    {
        "prometheus": lambda: setattr(run.crew.slis, "refresh", hang),
        "load": lambda: setattr(run.crew.load, "status", hang),
        "toxiproxy": lambda: setattr(run.crew, "proxies_answer", hang),
    }[part]()
    timeline = Timeline(run.crew)
    assert timeline.drive() == "broken"
    assert [event["part"] for event in run.recorder.named("hung")] == [part]
    assert timeline.without == {part}
    assert run.watchdog.beats >= 3


@pytest.mark.parametrize("part", ["prometheus", "load", "toxiproxy"])
def test_a_part_whose_answer_never_ends_ends_the_run(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No time-out comes of it: each piece of the answer is in time."""
    made = fast(demo())
    run = _crew(made, FakeReader(_healthy(made)))
    monkeypatch.setattr(eyes, "SILENT_S", 0.3)
    at_last = threading.Event()

    def trickle(*_: object, **__: object) -> None:
        at_last.wait(10.0)

    {
        "prometheus": lambda: setattr(run.crew.slis, "refresh", trickle),
        "load": lambda: setattr(run.crew.load, "status", trickle),
        "toxiproxy": lambda: setattr(run.crew, "proxies_answer", trickle),
    }[part]()
    timeline = Timeline(run.crew)
    try:
        assert timeline.drive() == "broken"
    finally:
        at_last.set()
    assert [event["part"] for event in run.recorder.named("hung")] == [part]
    assert timeline.without == {part}
