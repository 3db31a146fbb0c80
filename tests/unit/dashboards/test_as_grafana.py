"""What the test of all queries puts in for Grafana's variables, and what it takes for an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dashboards.__main__ import FOLDER
from tests.e2e.as_grafana import (
    Question,
    Window,
    all_of,
    complaints,
    labels_of,
    put_in,
    questions,
    read_dashboards,
    wrongly_shown,
)


def test_the_rate_interval_is_four_scrapes_or_one_more_than_the_step() -> None:
    assert Window(0, 60).own == {"__rate_interval": "4s", "__interval": "1s", "__range": "60s"}
    assert Window(0, 36_000, step_s=20).own["__rate_interval"] == "21s"


def test_variables_are_put_in_and_one_that_nobody_knows_is_an_error() -> None:
    assert put_in('rate(x{a=~"$a"}[${__rate_interval}])', {"a": "(b|c)", "__rate_interval": "4s"}) == (
        'rate(x{a=~"(b|c)"}[4s])'
    )
    with pytest.raises(KeyError, match="nobody"):
        put_in("$nobody", {})


def test_all_is_a_regular_expression_of_every_value() -> None:
    assert all_of({"link": ["a.b-c", "d"]}) == {"link": r"(a\\.b\\-c|d)"}


QUESTION = Question("Shop / Calls / A", "x", instant=False, legend="{{link}} of {{service}}")
LABELS = {"link": "a.b", "service": "a"}


def series(*values: str, labels: Mapping[str, str] = LABELS) -> dict[str, Any]:
    return {"metric": labels, "values": [[second, value] for second, value in enumerate(values)]}


def test_no_series_and_one_without_a_number_are_no_data() -> None:
    assert complaints(QUESTION, []) == ["Shop / Calls / A: no data for x"]
    assert complaints(QUESTION, [series("0", "1.5")]) == []
    for gaps in (False, True):
        [complaint] = complaints(replace(QUESTION, gaps=gaps), [series("1"), series("NaN", "NaN")])
        assert complaint.startswith("Shop / Calls / A: no data for x")


def test_a_legends_labels_are_looked_for_in_every_series() -> None:
    assert labels_of(QUESTION.legend) == {"link", "service"}
    [complaint] = complaints(QUESTION, [series("1"), series("1", labels={"link": "a.c"})])
    assert "['service']" in complaint
    assert "a.c" in complaint


@pytest.mark.parametrize("value", ["+Inf", "-Inf"])
def test_an_infinite_value_is_no_number_whoever_asks(value: str) -> None:
    for gaps in (False, True):
        [complaint] = complaints(replace(QUESTION, gaps=gaps), [series("1"), series("1", value, "1")])
        assert "infinite" in complaint


def test_a_value_that_is_no_number_is_right_only_where_the_question_says_so() -> None:
    answer = [series("1"), series("1", "NaN", "1")]
    assert complaints(replace(QUESTION, gaps=True), answer) == []
    [complaint] = complaints(QUESTION, answer)
    assert "no number" in complaint


def test_an_answer_for_one_moment_is_held_to_the_same() -> None:
    question = replace(QUESTION, instant=True)
    assert complaints(question, [{"metric": LABELS, "value": [1, "0"]}]) == []
    assert len(complaints(question, [{"metric": LABELS, "value": [1, "0"]}, {"metric": {}, "value": [1, "+Inf"]}])) == 2


def test_shares_and_quantiles_say_that_they_have_gaps_and_rates_and_gauges_do_not() -> None:
    asked = {one.where: one.gaps for board in read_dashboards(FOLDER) for one in questions(board)}
    having = ("Game day / Is the shop selling? / A", "Shop / Duration / A", "Shop / Errors / A")
    without = ("Game day / Offered / A", "Shop / Pools / A", "Game day / annotation Faults")
    assert {asked[where] for where in having} == {True}
    assert {asked[where] for where in without} == {False}


A_FAULT = Window(100.0, 130.0)
INJECTED_S, UNDONE_S = 110.2, 120.4


def shown(from_s: int, to_s: int, *, zeros: bool = True) -> dict[float, float]:
    """A curve that is 1 from one second to another, and 0 or nothing else."""
    there = {second: float(from_s <= second <= to_s) for second in A_FAULT.seconds}
    return {second: value for second, value in there.items() if value or zeros}


def test_a_fault_is_shown_rightly_however_long_the_scrape_took_and_with_zeros_or_without() -> None:
    for curve in (shown(111, 120), shown(112, 122), shown(111, 121, zeros=False)):
        assert wrongly_shown(curve, A_FAULT, INJECTED_S, UNDONE_S) == []


@pytest.mark.parametrize(
    ("curve", "amiss"),
    [
        ({}, "0 +2.8 s from the fault's injection, during it"),
        (shown(0, 0), "0 +2.8 s from the fault's injection, during it"),
        (shown(100, 130), "1 -10.2 s from the fault's injection, before it"),
        (shown(111, 130), "1 +12.8 s from the fault's injection, after it"),
        (shown(111, 118), "0 +8.8 s from the fault's injection, during it"),
        (shown(109, 120), "1 -1.2 s from the fault's injection, before it"),
    ],
)
def test_a_fault_that_is_shown_wrongly_is_told_with_when(curve: dict[float, float], amiss: str) -> None:
    assert wrongly_shown(curve, A_FAULT, INJECTED_S, UNDONE_S)[0] == amiss


def test_a_window_in_which_the_fault_can_not_be_looked_at_is_told() -> None:
    window = Window(100.0, 112.0)
    told = wrongly_shown({}, window, INJECTED_S, UNDONE_S)
    assert told == ["nothing to look at during the fault", "nothing to look at after the fault"]
