"""Texts of a project are as long as people write them; what is longer is not pondered, and quoted in part."""

from __future__ import annotations

import pytest

from crashcart.model.errors import BadFile
from crashcart.model.hints import did_you_mean
from crashcart.model.slo import parse_selector
from crashcart.model.units import parse_duration


@pytest.mark.parametrize("text", ["x" + " " * 200_000 + "y", "x{" + " " * 200_000 + "y", 'x{a="' + "b" * 200_000])
def test_a_selector_that_is_far_too_long_is_not_pondered(text: str) -> None:
    with pytest.raises(ValueError, match="characters"):
        parse_selector(text)


def test_words_that_are_far_too_long_are_like_nothing() -> None:
    assert did_you_mean("x" * 200_000, ["x" * 199_999, "other"], "keys").startswith("known keys: ")


def test_what_a_message_quotes_is_cut_to_what_one_reads() -> None:
    error = BadFile(f"{'x' * 100_000!r} is wrong\x1b[2J", file="f.yaml", line=1, remedy="y" * 100_000)
    assert len(str(error)) < 1_100
    assert str(error).replace("\n", "").isprintable()


@pytest.mark.parametrize("text", ["\u0663s", "1e3s", "9" * 10 + "s", "-1s", "1.5.s", "0.0000000000001s"])
def test_a_duration_is_written_in_plain_digits(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)
