"""One experiment after the other."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import msgspec
import pytest

from crashcart.model.errors import ExitStatus
from crashcart.model.plan import Plan
from crashcart.model.verdict import Outcome
from crashcart.running.interrupts import Interrupted, Interrupts
from crashcart.shelf.attempts import attempt_of, broken_attempt
from crashcart.shelf.suite import Attempt, Suite, worst_status
from crashcart.wiring.sequence import Order, Several
from tests.unit.shelf.made import a_plan, a_verdict

A, B, C = (a_plan(name) for name in "abc")
PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE


class Stage:
    """Plays what was written for each experiment; keeps what was said and kept."""

    def __init__(self, **script: list[Attempt | Callable[[], Attempt]]) -> None:
        self.script: dict[str, Iterator[Attempt | Callable[[], Attempt]]] = {k: iter(v) for k, v in script.items()}
        self.played: list[str] = []
        self.said: list[str] = []
        self.kept: list[Suite] = []
        self.interrupts = Interrupts()
        self.asked_again_at = ""
        """How the suite has ended when somebody asks while its summary is kept."""

    def attempt(self, made: Plan) -> Attempt:
        self.played.append(made.name)
        turn = next(self.script[made.name])
        return turn if isinstance(turn, Attempt) else turn()

    def go(self, *, reruns: int = 0, fail_fast: bool = False) -> Suite:
        order = Order("20261122T080000Z-0000", (A, B, C), "--tag nightly", reruns=reruns, fail_fast=fail_fast)
        return Several(order, self.attempt, self.keep, self.said.append, self.interrupts).go()

    def keep(self, suite: Suite) -> None:
        if self.asked_again_at == suite.ended:
            os.kill(os.getpid(), signal.SIGTERM)
        self.kept.append(suite)


def ran(outcome: Outcome, **more: object) -> Attempt:
    made = attempt_of(a_verdict(outcome), "x/20261122T080000Z-aaaa", took_s=30.0, timeline_s=23.0)
    return msgspec.structs.replace(made, **more)


def test_all_are_run_in_order_and_the_worst_counts() -> None:
    stage = Stage(a=[ran(PASS)], b=[ran(FAIL)], c=[ran(INCONCLUSIVE)])
    suite = stage.go()
    assert stage.played == ["a", "b", "c"]
    assert (suite.ended, suite.exit_status) == ("completed", ExitStatus.FAIL)
    assert [entry.course for entry in suite.entries] == ["pass", "fail", "inconclusive"]


def test_what_is_kept_while_it_is_under_way_is_no_pass_yet() -> None:
    stage = Stage(a=[ran(PASS)], b=[ran(PASS)], c=[ran(PASS)])
    assert stage.go().exit_status == ExitStatus.PASS
    assert [kept.exit_status for kept in stage.kept if kept.ended == "under way"] != []
    assert {kept.exit_status for kept in stage.kept if kept.ended == "under way"} == {ExitStatus.INCONCLUSIVE}


def test_each_is_announced_with_its_place_and_the_time_left() -> None:
    stage = Stage(a=[ran(PASS)], b=[ran(PASS)], c=[ran(PASS)])
    stage.go()
    assert stage.said[0].startswith("1 of 3  a: ")
    assert stage.said[0].endswith("about 2 min left"), "three timelines of 23 s, and 15 s each until one was seen"
    assert stage.said[2].endswith("about 30 s left"), "a timeline, and the 7 s that the others took beside theirs"


def test_an_inconclusive_one_is_run_again_and_both_stay_visible() -> None:
    stage = Stage(a=[ran(INCONCLUSIVE), ran(PASS)], b=[ran(PASS)], c=[ran(PASS)])
    suite = stage.go(reruns=1)
    assert stage.played == ["a", "a", "b", "c"]
    assert suite.exit_status == ExitStatus.PASS
    assert suite.entries[0].course == "inconclusive, then pass"
    assert suite.entries[0].outcome is PASS


def test_no_more_often_than_was_asked_for() -> None:
    stage = Stage(a=[ran(INCONCLUSIVE)] * 3, b=[ran(PASS)], c=[ran(PASS)])
    suite = stage.go(reruns=2)
    assert stage.played.count("a") == 3
    assert suite.exit_status == ExitStatus.INCONCLUSIVE


@pytest.mark.parametrize(
    "first", [ran(FAIL), ran(INCONCLUSIVE, exit_status=4), broken_attempt("r", "a/r", "no boot", 70, 1.0)]
)
def test_what_failed_or_broke_is_not_run_again(first: Attempt) -> None:
    stage = Stage(a=[first], b=[ran(PASS)], c=[ran(PASS)])
    suite = stage.go(reruns=1)
    assert stage.played == ["a", "b", "c"]
    assert suite.exit_status == first.exit_status


def test_the_first_that_does_not_pass_ends_it_where_that_is_asked_for() -> None:
    stage = Stage(a=[ran(PASS)], b=[ran(INCONCLUSIVE)])
    suite = stage.go(fail_fast=True)
    assert stage.played == ["a", "b"]
    assert (suite.ended, suite.exit_status) == ("fail-fast", ExitStatus.INCONCLUSIVE)
    assert suite.entries[2].course == "not run"


def test_nothing_more_is_begun_while_something_is_broken() -> None:
    stage = Stage(a=[broken_attempt("r", "a/r", "door.shelf is still down", ExitStatus.NOT_UNDONE, 1.0)])
    suite = stage.go()
    assert stage.played == ["a"]
    assert (suite.ended, suite.exit_status) == ("broken", ExitStatus.NOT_UNDONE)


def test_nothing_more_is_begun_where_nothing_can_be_recorded() -> None:
    stage = Stage(a=[ran(PASS)], b=[broken_attempt("r", "", "only 3 MiB are free", ExitStatus.OURS, 0.1)])
    suite = stage.go()
    assert stage.played == ["a", "b"]
    assert (suite.ended, suite.exit_status) == ("broken", ExitStatus.OURS)


def test_a_run_that_did_not_come_up_is_no_reason_to_skip_the_others() -> None:
    stage = Stage(a=[broken_attempt("r", "a/r", "the door did not come up", ExitStatus.OURS, 3.0)], b=[ran(FAIL)])
    stage.script["c"] = iter([ran(PASS)])
    suite = stage.go()
    assert stage.played == ["a", "b", "c"]
    assert suite.exit_status == ExitStatus.OURS


def test_an_interrupted_run_ends_the_suite() -> None:
    stage = Stage(a=[ran(PASS)], b=[ran(INCONCLUSIVE, ended="interrupted", exit_status=130)])
    suite = stage.go(reruns=1)
    assert stage.played == ["a", "b"]
    assert (suite.ended, suite.exit_status) == ("interrupted", ExitStatus.INTERRUPTED)


def test_an_interrupt_between_two_runs_ends_the_suite() -> None:
    stage = Stage(b=[ran(PASS)], c=[ran(PASS)])

    def interrupted_at_its_end() -> Attempt:
        stage.interrupts.ask("SIGHUP")
        return ran(INCONCLUSIVE)

    stage.script["a"] = iter([interrupted_at_its_end])
    suite = stage.go(reruns=1)
    assert stage.played == ["a"], "neither again nor the next"
    assert (suite.ended, suite.exit_status) == ("interrupted", ExitStatus.INTERRUPTED)


def test_a_second_interrupt_leaves_and_the_summary_is_kept() -> None:
    stage = Stage(a=[ran(FAIL)])

    def left() -> Attempt:
        raise Interrupted

    stage.script["b"] = iter([left])
    suite = stage.go()
    assert (suite.ended, suite.exit_status) == ("interrupted", ExitStatus.FAIL), "what was found stays found"
    assert stage.kept[-1].ended == "interrupted"


def test_who_asks_again_while_the_summary_is_kept_does_not_keep_it_from_that() -> None:
    stage = Stage()

    def interrupted() -> Attempt:
        stage.interrupts.ask("SIGINT")
        return ran(INCONCLUSIVE, ended="interrupted", exit_status=130)

    stage.script["a"] = iter([interrupted])
    stage.asked_again_at = "interrupted"
    with stage.interrupts.handled():
        suite = stage.go()
    assert stage.kept[-1].ended == "interrupted"
    assert suite.exit_status == ExitStatus.INTERRUPTED
    assert stage.interrupts.count == 2


def test_a_summary_of_what_was_done_is_kept_before_an_error_of_our_own_gets_out() -> None:
    stage = Stage(a=[ran(PASS)])

    def bug() -> Attempt:
        raise ZeroDivisionError

    stage.script["b"] = iter([bug])
    with pytest.raises(ZeroDivisionError):
        stage.go()
    assert (stage.kept[-1].ended, stage.kept[-1].exit_status) == ("broken", ExitStatus.OURS)
    assert stage.kept[-1].entries[0].course == "pass"


def test_the_state_is_kept_after_each_run() -> None:
    stage = Stage(a=[ran(PASS)], b=[ran(PASS)], c=[ran(PASS)])
    stage.go()
    runs = [sum(entry.last is not None for entry in suite.entries) for suite in stage.kept]
    assert runs == [0, 1, 2, 3, 3]
    assert [suite.ended for suite in stage.kept] == ["under way"] * 4 + ["completed"]


def test_what_a_run_takes_beside_its_timeline_is_known() -> None:
    stage = Stage(a=[ran(PASS)], b=[broken_attempt("r", "b/r", "no boot", 70, 3.0)], c=[ran(FAIL)])
    assert stage.go().overheads_s == (7.0, 7.0)


def test_the_order_of_statuses_is_that_of_the_design() -> None:
    order = [5, 70, 4, 1, 130, 3, 0]
    for place, status in enumerate(order):
        assert worst_status(order[place:]) == status
    assert worst_status([]) == ExitStatus.PASS


@pytest.mark.parametrize("unheard_of", [2, 99, -9])
def test_a_status_that_no_run_ends_with_is_never_green(unheard_of: int) -> None:
    assert worst_status([0, unheard_of]) == ExitStatus.OURS
    assert worst_status([ExitStatus.NOT_UNDONE, unheard_of]) == ExitStatus.NOT_UNDONE
