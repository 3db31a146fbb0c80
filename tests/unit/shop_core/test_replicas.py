"""Of several replicas the well ones are asked in turn; a bad one is tried now and then, by one call."""

from __future__ import annotations

from stack.kit.replicas import Replicas


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def firsts(replicas: Replicas[str], times: int) -> list[str]:
    return [next(replicas.in_turn()) for _ in range(times)]


def test_those_that_are_well_take_turns() -> None:
    replicas = Replicas(["a", "b"], Clock())
    assert sorted(firsts(replicas, 10)) == ["a"] * 5 + ["b"] * 5


def test_one_that_failed_is_left_alone_and_then_tried_by_one_call() -> None:
    clock = Clock()
    replicas = Replicas(["a", "b"], clock)
    assert replicas.failed("a") is False
    assert firsts(replicas, 20) == ["b"] * 20
    clock.now_s = 0.6
    assert firsts(replicas, 20).count("a") == 1
    replicas.failed("a")
    clock.now_s = 1.5
    assert firsts(replicas, 4) == ["b"] * 4
    clock.now_s = 1.7
    assert firsts(replicas, 20).count("a") == 1
    replicas.went_well("a")
    assert firsts(replicas, 10).count("a") == 5


def test_calls_that_were_under_way_when_it_failed_do_not_make_the_pause_longer() -> None:
    clock = Clock()
    replicas = Replicas(["a", "b"], clock)
    for _ in range(30):
        replicas.failed("a")
    clock.now_s = 0.6
    assert firsts(replicas, 4).count("a") == 1


def test_only_when_all_fail_is_the_whole_to_blame_and_then_all_are_asked() -> None:
    replicas = Replicas(["a", "b"], Clock())
    assert replicas.failed("a") is False
    assert replicas.failed("b") is True
    assert sorted(replicas.in_turn()) == ["a", "b"]


def test_a_single_one_is_always_asked() -> None:
    replicas = Replicas(["a"], Clock())
    assert replicas.failed("a") is True
    assert firsts(replicas, 3) == ["a"] * 3
