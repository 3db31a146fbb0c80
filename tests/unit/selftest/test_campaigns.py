from __future__ import annotations

import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from crashcart.model.errors import BadFile, CrashcartError, UsageError
from crashcart.selftest.campaign import Campaign, CaseResult, carry_out

CASES = ("one", "two", "three")


class Measured(CaseResult, frozen=True, kw_only=True):
    value: int


def _campaign(execute: Callable[[str], Measured], cases: tuple[str, ...] = CASES, **asked: str) -> Campaign[Measured]:
    return Campaign("tried", {"experiment": "steady", **asked}, cases, Measured, execute)


def _length(case: str) -> Measured:
    return Measured(line=f"{len(case)} letters", value=len(case))


def _quiet(_: str) -> None:
    """Nobody is told."""


def _no_more(case: str) -> Measured:
    raise AssertionError(f"{case} was done before")


def test_every_case_has_its_result_in_order(tmp_path: Path) -> None:
    told: list[str] = []
    done = carry_out(_campaign(_length), tmp_path / "new", told.append)
    assert {case: result.value for case, result in done.items()} == {"one": 3, "two": 3, "three": 5}
    assert tuple(done) == CASES
    assert told[-1].startswith("tried 3/3 three: 5 letters")


def test_what_was_cut_short_goes_on_where_it_stopped(tmp_path: Path) -> None:
    def cut_short(case: str) -> Measured:
        if case == "two":
            raise KeyboardInterrupt
        return _length(case)

    made: list[str] = []

    def goes_on(case: str) -> Measured:
        made.append(case)
        return _length(case)

    with pytest.raises(KeyboardInterrupt):
        carry_out(_campaign(cut_short), tmp_path, _quiet)
    done = carry_out(_campaign(goes_on), tmp_path, _quiet)
    assert made == ["two", "three"]
    assert tuple(done) == CASES


def test_a_torn_last_line_is_no_result(tmp_path: Path) -> None:
    ledger = tmp_path / "tried.jsonl"
    carry_out(_campaign(_length), tmp_path, _quiet)
    whole = ledger.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for end in range(last, len(whole)):
        ledger.write_bytes(whole[:end])
        made: list[str] = []

        def again(case: str, made: list[str] = made) -> Measured:
            made.append(case)
            return _length(case)

        carry_out(_campaign(again), tmp_path, _quiet)
        assert made == ["three"], f"cut at byte {end}"
        assert ledger.read_bytes() == whole


def test_a_torn_head_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "tried.jsonl").write_bytes(b'{"format":"crash')
    assert tuple(carry_out(_campaign(_length), tmp_path, _quiet)) == CASES


def test_more_cases_go_on_and_fewer_forget_nothing(tmp_path: Path) -> None:
    found = carry_out(_campaign(_length), tmp_path, _quiet)
    assert carry_out(_campaign(_no_more, ("one",)), tmp_path, _quiet) == found
    more = carry_out(_campaign(_length, (*CASES, "four")), tmp_path, _quiet)
    assert tuple(more) == (*CASES, "four")


def test_results_of_something_else_are_not_counted_together(tmp_path: Path) -> None:
    carry_out(_campaign(_length, commit="abc"), tmp_path, _quiet)
    with pytest.raises(UsageError, match="commit was abc, now def"):
        carry_out(_campaign(_length, commit="def"), tmp_path, _quiet)


@pytest.mark.parametrize("line", [b"not JSON", b'{"case":"one"}', b'{"case":"one","result":{"line":"no value"}}'])
def test_a_spoilt_line_is_refused_by_its_number(tmp_path: Path, line: bytes) -> None:
    carry_out(_campaign(_length), tmp_path, _quiet)
    ledger = tmp_path / "tried.jsonl"
    head, _, *rest = ledger.read_bytes().splitlines()
    ledger.write_bytes(b"\n".join([head, line, *rest]) + b"\n")
    with pytest.raises(BadFile) as refused:
        carry_out(_campaign(_no_more), tmp_path, _quiet)
    assert refused.value.line == 2


def test_two_at_a_time_can_not_write_the_same_results(tmp_path: Path) -> None:
    def meanwhile(_: str) -> Measured:
        carry_out(_campaign(_length), tmp_path, _quiet)
        raise AssertionError("both wrote")

    with pytest.raises(UsageError, match="another selftest"):
        carry_out(_campaign(meanwhile), tmp_path, _quiet)


def test_a_folder_that_can_not_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be written"):
        carry_out(_campaign(_length), tmp_path / "file" / "below", _quiet)


def test_what_was_found_is_told_at_once_and_kept(tmp_path: Path) -> None:
    def finds(case: str) -> Measured:
        return Measured(line="bad", value=0, found=(f"{case} must not be",))

    told: list[str] = []
    carry_out(_campaign(finds, ("one",)), tmp_path, told.append)
    assert "  FOUND: one must not be" in told
    again = carry_out(_campaign(_no_more, ("one",)), tmp_path, _quiet)
    assert again["one"].found == ("one must not be",)


def test_a_disk_that_is_full_is_said_and_what_was_kept_stays(tmp_path: Path) -> None:
    carry_out(_campaign(_length, ("one",)), tmp_path, _quiet)
    ledger = tmp_path / "tried.jsonl"
    room = ledger.stat().st_size + 10
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then it is an error of the write
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(CrashcartError, match="can't be kept"):
            carry_out(_campaign(_length), tmp_path, _quiet)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert tuple(carry_out(_campaign(_length), tmp_path, _quiet)) == CASES
