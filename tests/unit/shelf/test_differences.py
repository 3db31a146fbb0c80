"""What changed from one run to another, and what is noise."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from crashcart.model.errors import BadFile
from crashcart.model.verdict import LinkNumbers, Outcome
from crashcart.shelf.differences import Change, changes
from crashcart.shelf.pairs import compare_runs
from tests.unit.shelf.made import a_recovery, a_verdict, an_invariant, an_objective, record

FAIL, INCONCLUSIVE = Outcome.FAIL, Outcome.INCONCLUSIVE
OLD, NEW = "20261121T080000Z-aaaa", "20261122T080000Z-bbbb"


def named(found: tuple[Change, ...]) -> list[tuple[str, str, str]]:
    return [(one.way, one.group, one.name) for one in found]


def test_a_run_compared_with_itself_has_not_changed() -> None:
    assert changes(a_verdict(), a_verdict()) == ()


def test_a_share_that_moved_by_chance_is_not_told() -> None:
    before = a_verdict(objectives=(an_objective(985, 1000),))
    assert changes(before, a_verdict(objectives=(an_objective(977, 1000),))) == ()


def test_a_share_that_moved_beyond_chance_is_told_though_both_passed() -> None:
    found = changes(a_verdict(objectives=(an_objective(995, 1000),)), a_verdict(objectives=(an_objective(950, 1000),)))
    assert named(found) == [("worse", "objectives", "fault · purchase-success · all shoppers")]
    assert found[0].before == "99.50\u00a0% of 1,000"
    assert found[0].why == "p <\u00a00.001"
    back = changes(a_verdict(objectives=(an_objective(950, 1000),)), a_verdict(objectives=(an_objective(995, 1000),)))
    assert back[0].way == "better"


def test_new_failures_come_first_and_chance_is_named() -> None:
    before = a_verdict(objectives=(an_objective(91, 100), an_objective(400, 1000, FAIL, "network:visa")), cpu_ms=10)
    after = a_verdict(
        FAIL,
        objectives=(an_objective(89, 100, FAIL), an_objective(990, 1000, cohort="network:visa")),
        cpu_ms=20,
    )
    found = changes(before, after)
    assert named(found) == [
        ("new failure", "verdict", "the run"),
        ("new failure", "objectives", "fault · purchase-success · all shoppers"),
        ("worse", "cost", "CPU an order"),
        ("better", "objectives", "fault · purchase-success · network: visa"),
    ]
    assert found[1].why.startswith("pass → fail")
    assert found[1].why.endswith("may be chance")


def test_an_objective_of_one_run_only_is_told() -> None:
    found = changes(a_verdict(objectives=()), a_verdict(objectives=(an_objective(10, 100, FAIL),)))
    assert named(found)[0] == ("new failure", "objectives", "fault/purchase-success/all")
    assert found[0].before == "not expected"


def test_a_broken_invariant_is_a_new_failure() -> None:
    found = changes(a_verdict(), a_verdict(invariants=(an_invariant(3),)))
    assert named(found) == [("new failure", "invariants", "no-double-charge")]
    more = changes(a_verdict(invariants=(an_invariant(3),)), a_verdict(invariants=(an_invariant(4),)))
    assert named(more) == [("worse", "invariants", "no-double-charge")]


@pytest.mark.parametrize(
    ("before_s", "after_s", "way"),
    [(1.0, 2.9, None), (20.0, 23.0, None), (20.0, 26.0, "worse"), (9.0, 2.0, "better")],
)
def test_recovery_is_told_from_two_seconds_and_a_fifth(before_s: float, after_s: float, way: str | None) -> None:
    found = changes(a_verdict(recovery=a_recovery(before_s)), a_verdict(recovery=a_recovery(after_s)))
    assert [one.way for one in found] == ([way] if way else [])


def test_a_recovery_that_never_came_is_a_new_failure() -> None:
    found = changes(a_verdict(), a_verdict(recovery=a_recovery(None, FAIL)))
    assert named(found) == [("new failure", "recovery", "sustained health")]


def test_purchases_lost_are_compared_as_shares() -> None:
    assert changes(a_verdict(lost=5), a_verdict(lost=8)) == ()
    assert named(changes(a_verdict(lost=5), a_verdict(lost=60))) == [("worse", "cost", "purchases lost")]


def test_with_busy_neighbours_slower_is_not_called_worse() -> None:
    found = changes(a_verdict(cpu_ms=10, p99_ms=100), a_verdict(cpu_ms=20, p99_ms=400, neighbours=0.6))
    assert {one.way for one in found} == {"moved"}
    assert found[0].why == "neighbours kept 1% of the machine busy, then 60%"
    alone = changes(a_verdict(cpu_ms=10, p99_ms=100), a_verdict(cpu_ms=20, p99_ms=400))
    assert [(one.way, one.name) for one in alone] == [("worse", "CPU an order"), ("worse", "fault · checkout p99")]


def test_a_link_that_fails_more_often_is_told() -> None:
    def link(failed: int) -> LinkNumbers:
        return LinkNumbers("door.shelf", "fault", 1000, failed, 0, 0, 1.0, 2.0)

    assert changes(a_verdict(links=(link(2),)), a_verdict(links=(link(4),))) == ()
    found = changes(a_verdict(links=(link(2),)), a_verdict(links=(link(90),)))
    assert named(found) == [("worse", "links", "fault · door.shelf")]


def test_a_fault_without_evidence_makes_the_run_worse() -> None:
    found = changes(a_verdict(), a_verdict(INCONCLUSIVE, evidence_ok=False))
    assert [(one.way, one.group) for one in found] == [
        ("worse", "verdict"),
        ("worse", "validity"),
        ("worse", "evidence"),
    ]


def test_two_recordings_say_what_was_not_the_same(tmp_path: Path) -> None:
    before = record(tmp_path, OLD, a_verdict())
    after = record(tmp_path, NEW, a_verdict(), commit="def5678")
    plan = msgspec.json.decode((after / "plan.json").read_bytes())
    plan["seed"] = 8
    plan["overrides"] = ["load.seed=8"]
    plan["design"]["services"]["door"]["env"] = {"FAILOVER": "none"}
    plan["objectives"][0]["expected_events"] += 1
    (after / "plan.json").write_bytes(msgspec.json.encode(plan))
    diff = compare_runs(before, after)
    assert diff.same_experiment
    assert diff.objectives_compared == 1
    told = {one.name: (one.before, one.after) for one in diff.settings}
    assert told.pop("commit") == ("abc1234", "def5678")
    assert told.pop("overrides") == ("none", "load.seed=8")
    assert told.pop("seed") == ("3", "8")
    assert told.pop("design.services.door.env.FAILOVER") == ("–", "none")
    assert set(told) <= {"design.services.door.env"}, "what follows from these is not told"


def test_a_recording_without_a_verdict_says_what_to_do(tmp_path: Path) -> None:
    before, after = record(tmp_path, OLD), record(tmp_path, NEW, a_verdict())
    with pytest.raises(BadFile, match="it was not judged") as raised:
        compare_runs(before, after)
    assert "crashcart judge" in raised.value.remedy
    (before / "manifest.json").unlink()
    with pytest.raises(BadFile, match="the recording was cut short"):
        compare_runs(before, after)


def test_what_was_expected_of_one_run_only_is_told_and_a_failure_of_it_is_a_new_one() -> None:
    without = a_verdict(FAIL, invariants=(), recovery=None)
    failing = a_verdict(FAIL, invariants=(an_invariant(3),), recovery=a_recovery(None, FAIL))
    ways = {(one.group, one.way) for one in changes(without, failing)}
    assert ways == {("invariants", "new failure"), ("recovery", "new failure")}
    back = {(one.group, one.way, one.after) for one in changes(failing, without)}
    assert back == {("invariants", "moved", "not expected"), ("recovery", "moved", "not expected")}
