"""What the test of all queries puts in for Grafana's variables, and what it takes for an answer."""

from __future__ import annotations

import pytest

from tests.e2e.as_grafana import Question, Window, all_of, complaints, labels_of, put_in


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


def test_nothing_is_complained_of_and_so_is_a_legend_without_its_label() -> None:
    question = Question("Shop / Calls / A", "x", instant=False, legend="{{link}} of {{service}}")
    assert labels_of(question.legend) == {"link", "service"}
    assert complaints(question, []) == ["Shop / Calls / A: no data for x"]
    assert complaints(question, [{"metric": {"link": "a.b", "service": "a"}}]) == []
    [complaint] = complaints(question, [{"metric": {"link": "a.b"}}])
    assert "['service']" in complaint
