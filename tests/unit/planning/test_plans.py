"""What can't work is refused in the plan, with its line in the experiment, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.faults import registry
from crashcart.loading import open_project
from crashcart.loading.experiments import experiment_from_tree
from crashcart.loading.yamltree import parse_tree
from crashcart.model.errors import BadFile
from crashcart.model.plan import Plan
from crashcart.planning import Request, plan

ROOT = Path(__file__).parents[3]
DEMO = (ROOT / "experiments" / "third-party" / "card-processor-outage-at-peak.yaml").read_text(encoding="utf-8")


def plan_text(text: str, *, cannot: frozenset[str] = frozenset()) -> Plan:
    file = experiment_from_tree(parse_tree(text, "experiments/demo.yaml"))
    return plan(
        Request(file, open_project(ROOT), "local", lambda kind: "it is too small" if kind in cannot else "", registry())
    )


def test_the_demo_is_planned_to_the_second() -> None:
    made = plan_text(DEMO)
    assert [(phase.name, phase.start_s, phase.end_s) for phase in made.phases] == [
        ("warmup", 0, 10),
        ("baseline", 10, 30),
        ("fault", 30, 50),
        ("recovery", 50, 80),
    ]
    assert made.phase("baseline").expected_intents == pytest.approx(800)
    fault = made.faults[0]
    assert (fault.start_s, fault.end_s) == (30, 50)
    assert fault.targets == ("payments[0].psp-a[0]",)
    assert fault.links == ("payments.psp-a",)
    assert made.recovery is not None
    assert made.recovery.from_s == 50


def test_every_declared_cohort_gates_with_an_objective_of_its_own() -> None:
    made = plan_text(DEMO)
    cohorts = {o.cohort for o in made.objectives if o.slo == "purchase-success" and o.phase == "baseline"}
    declared = {f"{name}:{value}" for name, shares in made.load.cohorts.items() for value in shares}
    assert cohorts == {"all", *declared}


def test_a_looser_objective_brings_the_cohorts_down_with_it() -> None:
    made = plan_text(DEMO)
    during = [o for o in made.objectives if o.slo == "purchase-success" and o.phase == "fault"]
    assert during
    assert all(o.objective <= 0.90 for o in during)


@pytest.mark.parametrize(
    ("good", "bad", "line", "says"),
    [
        ("seed: 7}", "seed: 7, scenario: flash-deel}", 11, 'did you mean "flash-deal"?'),
        ("design: reference", "design: refrence", 10, 'did you mean "reference"?'),
        ("profile: steady", "profile: stedy", 11, 'did you mean "steady"?'),
        ("peak_per_s: 40", "peak_per_s: 0", 11, "is not in (0,"),
        ("peak_per_s: 40", "peak_per_s: 1000000000", 11, "is not in (0,"),
        ("recovery: 30s", "recovery: 90000s", 12, "the timeline takes 25 h"),
        ("link: payments.psp-a", "link: payments.psp-c", 14, "has no link payments.psp-c"),
        ("link: payments.psp-a", "lnk: payments.psp-a", 14, "unknown key"),
        ("toxiproxy/down", "toxiproxy/dwon", 14, 'did you mean "toxiproxy/down"?'),
        ("    for: 20s\n", "    for: 21s\n", 16, "ends 21s into a fault phase of 20s"),
        ("    for: 20s\n", "    for: 1s\n", 16, "at least 2s"),
        ("- {slo: browse-latency}", "- {slo: browse-latncy}", 22, 'did you mean "browse-latency"?'),
        ("baseline: 20s", "baseline: 2s", 19, "the phase baseline is too short for purchase-success"),
        ("within: 10s", "within: 25s", 28, "can't be seen"),
        ("invariants: all", "invariants: [no-double-chrge]", 29, 'did you mean "no-double-charge"?'),
        ("{slo: browse-availability, below", "{slo: browse-avail, below", 31, "there is no SLO 'browse-avail'"),
        ("objective: 0.90", "objective: 90", 27, "is not between 0 and 1"),
    ],
)
def test_what_can_not_be_is_refused_with_its_line(good: str, bad: str, line: int, says: str) -> None:
    assert good in DEMO
    with pytest.raises(BadFile) as caught:
        plan_text(DEMO.replace(good, bad, 1))
    assert says in str(caught.value)
    assert caught.value.line == line


def test_a_fault_that_the_runtime_can_not_do_is_refused() -> None:
    with pytest.raises(BadFile, match="can't do toxiproxy/down"):
        plan_text(DEMO, cannot=frozenset({"toxiproxy/down"}))


def test_two_faults_on_one_target_at_one_time_are_refused() -> None:
    twice = DEMO.replace(
        "expect:", "  - toxiproxy/latency: {link: payments.psp-a, latency: 1s}\n    at: 5s\n    for: 5s\nexpect:", 1
    )
    with pytest.raises(BadFile, match="act on payments"):
        plan_text(twice)


def test_a_fault_phase_without_a_fault_is_refused() -> None:
    without = DEMO.replace("faults:\n  - toxiproxy/down: {link: payments.psp-a}\n    at: 0s\n    for: 20s\n", "", 1)
    with pytest.raises(BadFile, match="but no fault"):
        plan_text(without)


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_experiment_of_the_repository_can_be_planned(path: Path) -> None:
    made = plan_text(path.read_text(encoding="utf-8"))
    assert made.name == path.stem


def test_a_scenario_changes_who_comes_and_what_is_expected_of_them() -> None:
    busy = DEMO.replace("peak_per_s: 40", "peak_per_s: 240")
    usual, deal = plan_text(busy), plan_text(busy.replace("seed: 7}", "seed: 7, scenario: flash-deal}"))
    assert (usual.scenario, deal.scenario) == ("", "flash-deal")
    assert deal.load.purchase_share == deal.load.scenarios["flash-deal"].purchase_share != usual.load.purchase_share
    assert deal.phase("baseline").expected_intents == usual.phase("baseline").expected_intents
    assert deal.phase("baseline").expected_sessions == pytest.approx(240 * 20 / deal.load.purchase_share)
    pages = {
        name: next(o.expected_events for o in made.objectives if o.id == "baseline/browse-availability/all")
        for name, made in (("usual", usual), ("deal", deal))
    }
    assert pages["deal"] == pytest.approx(
        deal.phase("baseline").expected_sessions * deal.load.events_per_session["browse"], abs=0.1
    )
    assert pages["deal"] < pages["usual"]


def test_of_a_cohort_with_null_nothing_is_expected_in_that_phase() -> None:
    text = DEMO.replace("objective: 0.90}", 'objective: 0.90, cohorts: {"network:amex": null, "network:visa": 0.8}}')
    found = {o.cohort: o.objective for o in plan_text(text).objectives if o.id.startswith("fault/purchase-success/")}
    assert "network:amex" not in found
    assert found["network:visa"] == 0.8
    assert found["all"] == 0.9
    assert any(o.id == "baseline/purchase-success/network:amex" for o in plan_text(text).objectives)


def test_nothing_expected_of_everybody_is_refused() -> None:
    text = DEMO.replace("objective: 0.90}", "objective: 0.90, cohorts: {all: null}}")
    with pytest.raises(BadFile, match="everybody is no cohort"):
        plan_text(text)
