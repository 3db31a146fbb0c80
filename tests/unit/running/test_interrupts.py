"""Once: undo and report. Twice: undo and leave."""

from __future__ import annotations

import os
import signal
import threading

import duckdb
import pytest

from crashcart.running.interrupts import Interrupted, Interrupts


def test_the_first_request_ends_a_wait() -> None:
    interrupts = Interrupts()
    with interrupts.handled(), pytest.raises(Interrupted), interrupts.raising():
        os.kill(os.getpid(), signal.SIGINT)
    assert interrupts.how == "SIGINT"


def test_a_request_made_before_the_wait_ends_it_at_once() -> None:
    interrupts = Interrupts()
    interrupts.ask("crashcart abort")
    with pytest.raises(Interrupted), interrupts.raising():
        raise AssertionError("it was entered")


def test_after_the_first_was_heard_the_report_is_made_and_the_second_leaves() -> None:
    interrupts = Interrupts()
    made = []
    with interrupts.handled():
        interrupts.ask("SIGINT")
        with interrupts.raising(heard=1):
            made.append("report")
        with pytest.raises(Interrupted), interrupts.raising(heard=1):
            os.kill(os.getpid(), signal.SIGINT)
    assert made == ["report"]


def test_what_puts_things_back_is_not_interrupted() -> None:
    interrupts = Interrupts()
    with interrupts.handled():
        interrupts.disarm()
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
    assert interrupts.count == 3


def test_a_query_that_makes_an_error_of_its_own_of_it_is_left_all_the_same() -> None:
    warm_up = "SELECT count(*) FROM range(10) a, range(10) b"  # its first query swallows a signal
    # one that ends by itself: a worker of DuckDB that has begun its part may finish it first
    long = "SELECT sum(a.range * b.range) FROM range(20000) a, range(20000) b"
    interrupts = Interrupts()
    with interrupts.handled(), duckdb.connect() as database:
        database.execute(warm_up).fetchall()
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with pytest.raises(Interrupted), interrupts.raising():
            database.execute(long).fetchall()
    assert interrupts.broke_off


def test_an_error_without_a_request_stays_what_it_is() -> None:
    with pytest.raises(ValueError, match="of its own"), Interrupts().raising():
        raise ValueError("of its own")


def test_what_must_be_done_whole_is_done_whole_and_left_then() -> None:
    interrupts = Interrupts()
    wanted: list[bool] = []

    def asks_and_looks() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        wanted.append(interrupts.wanted)

    with interrupts.handled(), pytest.raises(Interrupted), interrupts.raising(), interrupts.held():
        asks_and_looks()
    assert wanted == [True]


def test_a_request_that_was_heard_does_not_end_what_is_done_whole() -> None:
    interrupts = Interrupts()
    interrupts.ask("SIGINT")
    with interrupts.handled(), interrupts.raising(heard=1), interrupts.held():
        assert not interrupts.wanted


def test_what_puts_things_back_is_not_ended_by_what_it_does_whole() -> None:
    interrupts = Interrupts()
    with interrupts.handled():
        interrupts.disarm()
        with interrupts.held():
            os.kill(os.getpid(), signal.SIGTERM)
            assert not interrupts.wanted
