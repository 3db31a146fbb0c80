from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.reporting import svg
from tests.unit.reporting.stories import HOSTILE


@given(st.lists(st.floats(0, 1e7) | st.none(), max_size=20))
def test_every_value_lies_within_a_linear_plot_and_order_is_kept(values: list[float | None]) -> None:
    scale = svg.linear(values, 100)
    known = sorted(value for value in values if value is not None)
    heights = [scale.y(value) for value in known]
    assert all(0 <= height <= 100 for height in heights)
    assert heights == sorted(heights, reverse=True)


@given(st.lists(st.floats(0, 1e7) | st.none(), max_size=20))
def test_every_value_lies_within_a_log_plot_and_order_is_kept(values: list[float | None]) -> None:
    scale = svg.log(values, 100, least=0.1, most=10_000)
    heights = [scale.y(value) for value in sorted(value for value in values if value is not None)]
    assert all(0 <= height <= 100 for height in heights)
    assert heights == sorted(heights, reverse=True)
    assert scale.high >= scale.low * 10


@given(st.floats(0.01, 1e6))
def test_axes_have_a_few_round_ticks_within_the_scale(high: float) -> None:
    scale = svg.linear([high], 100, least=0.001)
    assert 2 <= len(scale.ticks()) <= 5
    assert scale.ticks()[0] == 0
    assert scale.ticks()[-1] <= scale.high * 1.0001


def test_log_ticks_are_the_decades() -> None:
    assert svg.Log(1, 2500, 100).ticks() == (1, 10, 100, 1000)


@pytest.mark.parametrize(("whole_s", "last"), [(80, 80), (45, 45), (1800, 1800), (86_400, 86_400), (7, 7)])
def test_the_time_axis_has_round_moments_and_not_too_many(whole_s: float, last: float) -> None:
    ticks = svg.time_ticks(whole_s)
    assert 4 <= len(ticks) <= 10
    assert ticks[-1] == last


def test_a_curve_breaks_where_a_value_is_missing() -> None:
    drawn = svg.line(svg.Across(4), svg.Linear(1, 10), [(0, 1.0), (1, 1.0), (2, None), (3, 1.0)], "x")
    assert re.findall("[ML]", drawn) == ["M", "L", "M"]


def test_a_curve_without_values_is_nothing() -> None:
    assert svg.line(svg.Across(4), svg.Linear(1, 10), [(0, None)], "x") == ""


def test_an_empty_area_is_nothing() -> None:
    assert svg.area(svg.Across(2), svg.Linear(1, 10), (0, 1, 2), (0, 0), (0, 0), "x") == ""


def test_what_begins_before_or_ends_after_the_run_is_cut_to_it() -> None:
    assert svg.Across(100).span(-10, 50) == ("0%", "50%")
    assert svg.Across(100).span(90, 200) == ("90%", "10%")


def test_labels_that_would_overlap_are_moved_apart_and_stay_in_the_plot() -> None:
    drawn = svg.beside([("a", 95, "x"), ("b", 96, "x"), ("c", 97, "x")], 100)
    heights = [float(y) for y in re.findall(r' y="([\d.]+)"', drawn)]
    assert all(b - a >= 14 for a, b in itertools.pairwise(heights))
    assert max(heights) <= 104


def test_words_in_a_drawing_are_escaped() -> None:
    drawn = svg.drawing(
        10, HOSTILE, svg.text("0", 1, HOSTILE, HOSTILE), svg.rect("0", "1%", 0, 1, HOSTILE, title=HOSTILE)
    )
    assert "<script" not in drawn
    assert drawn.count("&lt;script&gt;") == 5
