"""An SLO that is counted in the books: as a file, and where it can be expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.faults import registry
from crashcart.loading import open_project
from crashcart.loading.slos import read_slo
from crashcart.model.errors import BadFile
from crashcart.model.plan import Plan
from crashcart.planning import Request
from crashcart.planning import plan as make_plan

ROOT = Path(__file__).parents[3]
SHOWN = "stack/slos/failed-orders-told.yaml"
TEXT = (ROOT / SHOWN).read_text(encoding="utf-8")
COHORTS = frozenset(
    f"{name}:{value}" for name, shares in open_project(ROOT).load_program.cohorts.items() for value in shares
)
GOOD = "spec: {count: failed-orders, toldWithin: 60s}"
TOTAL = "spec: {count: failed-orders}"


def planned(*overrides: str) -> Plan:
    project = open_project(ROOT)
    file = project.experiment("card-processor-outage-at-peak", overrides)
    return make_plan(Request(file, project, "local", lambda kind: "", registry()))


def test_it_says_within_how_long_and_for_what_share() -> None:
    slo = read_slo(ROOT / SHOWN, SHOWN, COHORTS)
    assert (slo.told_within_s, slo.objectives["all"], slo.only_failures) == (60.0, 0.9, True)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (GOOD, TOTAL, "within how long"),
        (GOOD, "spec: {count: failed-orders, toldWithin: 0s}", "within how long"),
        (GOOD, "spec: {count: orders, toldWithin: 60s}", "only failed orders"),
        (GOOD, "spec: {query: a_total, count: failed-orders, toldWithin: 60s}", "only failed orders"),
        (TOTAL + "\n  timeWindow", GOOD + "\n  timeWindow", "every failed order"),
        ("type: Books\n            " + GOOD, "type: Prometheus\n            spec: {query: a_total}", "the other side"),
        ("type: Books\n            " + GOOD, "type: Prometheus\n            " + GOOD, "the other side"),
        ("displayName: Shoppers", "annotations: {crashcart/settled: a_total}\n  displayName: Shoppers", "annotations"),
        ("toldWithin: 60s", "toldWithin: soon", "soon"),
    ],
)
def test_what_it_can_not_mean_is_refused_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in TEXT
    path = tmp_path / "slo.yaml"
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadFile, match=said) as caught:
        read_slo(path, SHOWN, COHORTS)
    assert caught.value.line is not None


def test_a_counters_selector_has_no_delay(tmp_path: Path) -> None:
    path = tmp_path / "slo.yaml"
    text = (ROOT / "stack/slos/cart-latency.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace("query:", "toldWithin: 60s\n              query:", 1), encoding="utf-8")
    with pytest.raises(BadFile, match="type: Books"):
        read_slo(path, "slo.yaml", COHORTS)


def test_it_can_be_expected_of_a_phase_however_few_orders_fail() -> None:
    plan = planned("expect.fault.0.slo=failed-orders-told")
    mine = [one for one in plan.objectives if one.slo == "failed-orders-told"]
    assert {one.min_events for one in mine} == {0}
    assert {one.cohort for one in mine} == {"all", *COHORTS}


@pytest.mark.parametrize(
    "place", ["guardrails.0.slo=failed-orders-told", "expect.recovery.of=[purchase-success, failed-orders-told]"]
)
def test_while_a_run_is_on_the_books_are_closed(place: str) -> None:
    with pytest.raises(BadFile, match="when the run is over") as caught:
        planned(place)
    assert caught.value.line is not None


def test_a_project_that_does_not_say_who_was_told_can_not_have_it(tmp_path: Path) -> None:
    for folder in ("stack", "loadtests", "experiments"):
        (tmp_path / folder).mkdir()
    for name in ("loadtests/load.yaml", "stack/truth/books.yaml", SHOWN):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "stack/designs").mkdir()
    with pytest.raises(BadFile, match="follow-up"):
        _ = open_project(tmp_path).slos
    (tmp_path / "stack/truth/follow-up.sql").write_text("SELECT key, t FROM mail")
    assert "failed-orders-told" in open_project(tmp_path).slos
