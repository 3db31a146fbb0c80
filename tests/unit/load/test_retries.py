from __future__ import annotations

from random import Random

import pytest

from crashcart.loadkit.answers import Answer, failure_of
from crashcart.loadkit.retries import Retries
from tests.unit.load.fakes import problem

HABIT = Retries(tries_max=3, pause_s=0.4, pause_max_s=2.0)
RESET = Answer(broke="reset")
TIMEOUT = Answer(broke="timeout")


class CountingRandom(Random):
    drawn = 0

    def random(self) -> float:
        self.drawn += 1
        return super().random()


@pytest.mark.parametrize("answer", [RESET, TIMEOUT, Answer(broke="refused", sent=False), problem(503, "overloaded")])
def test_what_may_go_better_is_tried_again(answer: Answer) -> None:
    assert HABIT.again_s(failure_of(answer), 1, 10.0, Random(1)) is not None


@pytest.mark.parametrize(
    "answer",
    [
        problem(503, "ordering-closed", safe=False),
        problem(422, "idempotency-key-reused", safe=False),
        problem(404, "cart-empty", safe=None),
        Answer(status=400),
    ],
)
def test_what_was_called_wrong_or_unsafe_is_not_tried_again(answer: Answer) -> None:
    assert HABIT.again_s(failure_of(answer), 1, 10.0, Random(1)) is None


def test_a_shopper_gives_up_after_so_many_tries_and_draws_nothing_more() -> None:
    random = CountingRandom(1)
    assert HABIT.again_s(failure_of(RESET), 3, 10.0, random) is None
    assert random.drawn == 0


def test_some_do_not_wait_a_second_time_after_a_time_out() -> None:
    impatient = Retries(tries_max=3, pause_s=0.4, pause_max_s=2.0, after_timeout=False)
    assert impatient.again_s(failure_of(TIMEOUT), 1, 0.0, Random(1)) is None
    assert impatient.again_s(failure_of(RESET), 1, 0.0, Random(1)) is not None


def test_the_pause_is_at_least_what_the_shop_asks_and_at_most_half_as_long_again() -> None:
    asked = failure_of(problem(503, "overloaded", retry_after_s=0.8))
    pauses = [HABIT.again_s(asked, 1, 100.0, Random(seed)) for seed in range(200)]
    assert all(pause is not None and 100.8 <= pause <= 101.2 for pause in pauses)
    assert len(set(pauses)) > 150


def test_however_long_the_shop_asks_for_the_pause_is_bounded() -> None:
    asked = failure_of(problem(503, "overloaded", retry_after_s=600))
    pauses = [HABIT.again_s(asked, 1, 0.0, Random(seed)) for seed in range(200)]
    assert all(pause is not None and 1.5 <= pause <= 2.0 for pause in pauses)


def test_without_a_word_from_the_shop_pauses_double() -> None:
    first = HABIT.again_s(failure_of(RESET), 1, 0.0, Random(1))
    second = HABIT.again_s(failure_of(RESET), 2, 0.0, Random(1))
    assert first is not None
    assert second == pytest.approx(2 * first)
