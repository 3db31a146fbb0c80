from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.reporting import words


def plain(text: str) -> str:
    return text.replace(words.NBSP, " ")


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_less_than_all_is_never_shown_as_all_nor_more_than_none_as_none(good: int, bad: int) -> None:
    shown = plain(words.share(good / (good + bad)))
    assert not shown.startswith(("100", "0.00 ", "0.000 "))


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [(0.9, "90.00 %"), (1.0, "100.00 %"), (0.0, "0.00 %"), (0.99999, "99.999 %"), (None, "–"), (math.nan, "–")],
)
def test_a_share_is_shown_in_per_cent(ratio: float | None, shown: str) -> None:
    assert plain(words.share(ratio)) == shown


def test_a_narrow_miss_is_never_shown_as_no_margin() -> None:
    assert words.margin(-0.000004) == "−0.0004"
    assert words.margin(0.0) == "+0.00"


def test_an_objective_is_shown_as_it_was_written() -> None:
    assert [plain(words.target(ratio)) for ratio in (0.9, 0.995, 0.9999)] == ["90 %", "99.5 %", "99.99 %"]


@pytest.mark.parametrize(
    ("ms", "shown"), [(0.42, "0.42 ms"), (38.2, "38 ms"), (999.7, "1.00 s"), (1234, "1.23 s"), (None, "–")]
)
def test_latencies_are_shown_with_the_digits_that_matter(ms: float | None, shown: str) -> None:
    assert plain(words.milliseconds(ms)) == shown


@pytest.mark.parametrize(
    ("time_s", "shown"), [(4.25, "4.2 s"), (30.0, "30 s"), (150, "2 min 30 s"), (-4, "−4 s"), (None, "–")]
)
def test_durations_are_shown_as_people_say_them(time_s: float | None, shown: str) -> None:
    assert plain(words.seconds(time_s)) == shown


def test_places_on_a_long_axis_are_minutes_and_seconds() -> None:
    assert plain(words.clock(40, 80)) == "40 s"
    assert words.clock(750, 1800) == "12:30"


def test_moments_are_shown_to_the_minute_and_what_is_none_as_it_is() -> None:
    assert words.moment("2026-11-22T08:51:12.187Z") == "2026-11-22 08:51 UTC"
    assert words.moment("yesterday") == "yesterday"


def test_stamps_of_log_lines_are_shown_without_their_day() -> None:
    assert words.time_of_day("2026-11-22T08:51:12.187+00:00") == "08:51:12.187"
    assert words.time_of_day("soon") == "soon"


def test_money_has_its_cents() -> None:
    assert words.money(123456) == "1,234.56"


def test_what_a_terminal_or_browser_would_obey_is_made_visible() -> None:
    assert words.clean("a\x1b[31mb\u202ec\x00d\ne") == "a\ufffd[31mb\ufffdc\ufffdd e"


def test_long_text_is_cut_where_one_can_see_it() -> None:
    assert words.clean("x" * 1000, longest=10) == "xxxxxxxxx…"


def test_cells_of_witnesses_are_readable_whatever_they_hold() -> None:
    assert [words.value(cell) for cell in (None, True, ["a", None], 0.1 + 0.2, 7)] == ["–", "true", "a, –", "0.3", "7"]


def test_what_leads_to_the_logs_is_a_witness_first_column() -> None:
    assert words.cells({"a": 1, "reference": "R", "b": 2}) == [("reference", "R"), ("a", 1), ("b", 2)]


def test_a_headline_does_not_repeat_the_word_that_stands_before_it() -> None:
    assert words.headline("Pass: all held.", "pass") == "All held."
    assert words.headline("4 orders: charged twice", "fail") == "4 orders: charged twice"
    assert words.headline("Pass: ", "pass") == "Pass: "


def test_cohorts_are_named_in_words() -> None:
    assert words.cohort("all") == "all shoppers"
    assert words.cohort("business_line:photo") == "business line: photo"


def test_parts_that_were_written_to_stand_alone_become_sentences() -> None:
    assert words.sentences("2 % were late", "run it alone.") == "2 % were late. Run it alone."
    assert words.sentences("", "x") == "X."
