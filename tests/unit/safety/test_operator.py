"""What people say to a run reaches it once, in words that harm nothing, and only where there is one."""

from __future__ import annotations

import os
import pty
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from crashcart.model.errors import UsageError
from crashcart.processes import boot_id, own_ref
from crashcart.safety.active import ActiveRun, forget, register
from crashcart.safety.operator import (
    MARKS_MAX,
    TEXT_MAX,
    OperatorsWord,
    ask_to_go_on,
    cleaned,
    runs_under_way,
    say_mark,
    timelines_under_way,
)

RUN = "20260101T000000Z-abcd"


@pytest.fixture(autouse=True)
def under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    register(ActiveRun(RUN, boot_id(), own_ref(), "/r/faultlog.jsonl", "/r"))
    return tmp_path / "crashcart" / "active"


def test_marks_are_heard_once_in_order_with_the_time_they_were_said() -> None:
    word = OperatorsWord(RUN)
    assert word.marks() == ()
    before = time.monotonic()
    say_mark(RUN, "mitigated")
    say_mark(RUN, "and told the boss")
    after = time.monotonic()
    heard = word.marks()
    assert [text for _, text in heard] == ["mitigated", "and told the boss"]
    assert before <= heard[0][0] <= heard[1][0] <= after
    assert word.marks() == ()
    say_mark(RUN, "once more")
    assert [text for _, text in word.marks()] == ["once more"]


def test_half_a_line_is_not_heard_before_its_end(under_way: Path) -> None:
    word = OperatorsWord(RUN)
    with (under_way / f"{RUN}.marks").open("ab") as file:
        file.write(b'{"mono_s": 1.0, "text": "ha')
        file.flush()
        assert word.marks() == ()
        file.write(b'lf"}\nnot a mark\n')
    assert word.marks() == ((1.0, "half"),)


@pytest.mark.parametrize(
    ("said", "stands"),
    [
        ("  two\nlines\t here ", "two lines here"),
        ("\x1b[31mred\x1b[0m \u202eback", "[31mred[0m back"),
        ("x" * 1000, "x" * TEXT_MAX),
        ("größer ✓", "größer ✓"),
    ],
)
def test_a_mark_is_one_bounded_line_without_control_characters(said: str, stands: str) -> None:
    assert cleaned(said) == stands


def test_a_mark_that_says_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="says nothing"):
        say_mark(RUN, "\x00 \n")


def test_a_run_takes_so_many_marks_and_no_more(under_way: Path) -> None:
    (under_way / f"{RUN}.marks").write_bytes(b"{}\n" * MARKS_MAX)
    with pytest.raises(UsageError, match=f"{MARKS_MAX} marks already"):
        say_mark(RUN, "one more")


def test_without_a_run_there_is_nobody_to_say_it_to() -> None:
    assert [run.run_id for run in runs_under_way()] == [RUN]
    forget(RUN)
    with pytest.raises(UsageError, match="no run is under way"):
        runs_under_way()


def test_a_run_whose_harness_is_dead_is_not_under_way() -> None:
    dead = msgspec.structs.replace(own_ref(), started_ticks=1)
    register(ActiveRun(RUN, boot_id(), dead, "/r/faultlog.jsonl", "/r"))
    with pytest.raises(UsageError, match="crashcart recover"):
        runs_under_way()


def test_next_counts_while_a_phase_is_held_and_neither_before_nor_after() -> None:
    word = OperatorsWord(RUN)
    with pytest.raises(UsageError, match="holds no phase"):
        ask_to_go_on(RUN)
    word.hold("fault")
    assert not word.goes_on()
    assert ask_to_go_on(RUN) == "fault"
    assert word.goes_on()
    word.let_go()
    assert not word.goes_on()
    with pytest.raises(UsageError, match="holds no phase"):
        ask_to_go_on(RUN)


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The far end of a terminal that is our standard input."""
    far, near = pty.openpty()
    monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp())
    with os.fdopen(near, encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdin", file)
        yield far
    os.close(far)


def test_enter_ends_the_phase_unless_it_was_pressed_before(keyboard: int) -> None:
    word = OperatorsWord(RUN)
    os.write(keyboard, b"too early\n")
    word.hold("fault")
    assert not word.goes_on()
    os.write(keyboard, b"\n")
    assert word.goes_on()


def test_a_terminal_that_goes_away_says_nothing(keyboard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: int) -> int:
        raise OSError(25, "Inappropriate ioctl for device")

    word = OperatorsWord(RUN)
    word.hold("fault")
    monkeypatch.setattr(os, "tcgetpgrp", gone)
    assert not word.goes_on()


def test_a_mark_goes_to_the_run_and_not_to_the_suite_that_it_is_part_of(under_way: Path) -> None:
    suite = "20260101T000000Z-beef"
    register(ActiveRun(suite, boot_id(), own_ref(), os.devnull, str(under_way)))
    assert {run.run_id for run in runs_under_way()} == {RUN, suite}
    assert [run.run_id for run in timelines_under_way()] == [RUN]
    forget(RUN)
    with pytest.raises(UsageError, match="between two of its runs"):
        timelines_under_way()
