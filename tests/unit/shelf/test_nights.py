"""This night and the last."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

import crashcart
from crashcart.model.errors import UsageError
from crashcart.model.verdict import Outcome, Verdict
from crashcart.shelf.attempts import attempt_of
from crashcart.shelf.listing import render_suite_diff, summary_line
from crashcart.shelf.nights import compare_suites, find_suite, last_two, worst_way
from crashcart.shelf.suite import SUITE_FORMAT, Entry, Suite
from crashcart.wiring.shelf import diff_suites
from tests.unit.shelf.made import a_verdict, an_invariant, record

NIGHTS = [f"202611{day}T020000Z-0000" for day in (20, 21, 22)]


def night(runs: Path, suite_id: str, chosen_by: str = "--tag nightly", **verdicts: Verdict) -> Path:
    entries = []
    for number, (name, verdict) in enumerate(verdicts.items()):
        run_id = f"{suite_id[:13]}{number:02d}Z-aaaa"
        record(runs, run_id, verdict, experiment=name)
        told = msgspec.structs.replace(verdict, run_id=run_id)
        entries.append(Entry(name, "", 23.0, (attempt_of(told, f"{name}/{run_id}", 30.0, 23.0),)))
    version, overrides = crashcart.__version__, ("load.seed=8",)
    suite = Suite(
        SUITE_FORMAT, suite_id, chosen_by, "", "", 60.0, "completed", 0, "", version, overrides, tuple(entries)
    )
    folder = runs / "suites" / suite_id
    folder.mkdir(parents=True)
    (folder / "summary.json").write_bytes(msgspec.json.encode(suite))
    return folder


def test_the_newest_is_compared_with_the_last_that_was_chosen_alike(tmp_path: Path) -> None:
    first = night(tmp_path, NIGHTS[0], a=a_verdict())
    by_hand = night(tmp_path, NIGHTS[1], chosen_by="a b", a=a_verdict())
    newest = night(tmp_path, NIGHTS[2], a=a_verdict())
    assert last_two(tmp_path) == (first, newest)
    shutil.rmtree(first)
    assert last_two(tmp_path) == (by_hand, newest)
    shutil.rmtree(by_hand)
    assert last_two(tmp_path) == (None, newest)


def test_an_unreadable_summary_is_passed_over(tmp_path: Path) -> None:
    first = night(tmp_path, NIGHTS[0], a=a_verdict())
    (night(tmp_path, NIGHTS[1], a=a_verdict()) / "summary.json").write_text("{", encoding="utf-8")
    newest = night(tmp_path, NIGHTS[2], a=a_verdict())
    assert last_two(tmp_path) == (first, newest)


def test_without_suites_it_is_said_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are no suites"):
        last_two(tmp_path)


def test_what_changed_new_and_missing_is_told_with_failures_first(tmp_path: Path) -> None:
    before = night(tmp_path, NIGHTS[0], same=a_verdict(), gone=a_verdict(), slow=a_verdict(), bad=a_verdict())
    broken = a_verdict(Outcome.FAIL, invariants=(an_invariant(2),))
    after = night(tmp_path, NIGHTS[1], same=a_verdict(), fresh=a_verdict(), slow=a_verdict(cpu_ms=30), bad=broken)
    diff = compare_suites(tmp_path, before, after)
    assert [(entry.experiment, worst_way(entry)) for entry in diff.entries] == [
        ("bad", "new failure"),
        ("slow", "worse"),
        ("same", None),
    ]
    assert [entry.experiment for entry in diff.new] == ["fresh"]
    assert [entry.experiment for entry in diff.missing] == ["gone"]
    assert summary_line(diff) == "1 new failure, 1 worse, 1 as before"
    out = io.StringIO()
    render_suite_diff(diff, Console(file=out, width=140))
    told = out.getvalue()
    assert told.index("bad  pass → fail") < told.index("slow  pass") < told.index("as before: same")
    assert "2 against it" in told
    assert f"{NIGHTS[0]}  no commit  --tag nightly --set load.seed=8: 4 pass" in told
    assert "new: fresh, pass" in told
    assert "no longer there: gone, pass" in told


def test_without_its_recordings_the_outcomes_are_compared_all_the_same(tmp_path: Path) -> None:
    before = night(tmp_path, NIGHTS[0], a=a_verdict())
    after = night(tmp_path, NIGHTS[1], a=a_verdict(Outcome.FAIL))
    shutil.rmtree(tmp_path / "a")
    (entry,) = compare_suites(tmp_path, before, after).entries
    assert (entry.before, entry.after, worst_way(entry)) == ("pass", "fail", "new failure")
    assert "its recording is gone" in entry.note


def test_a_single_suite_is_no_error(tmp_path: Path) -> None:
    night(tmp_path, NIGHTS[0], a=a_verdict())
    out = io.StringIO()
    diff_suites(tmp_path, "last-night", "latest", Console(file=out, width=140), as_json=False)
    assert "is the only suite" in out.getvalue()
    with pytest.raises(UsageError, match="there is only one suite"):
        find_suite(tmp_path, "previous")


def test_suites_are_found_by_what_people_say(tmp_path: Path) -> None:
    folders = [night(tmp_path, name, a=a_verdict()) for name in NIGHTS]
    assert find_suite(tmp_path, "latest") == folders[2]
    assert find_suite(tmp_path, "previous") == folders[1]
    assert find_suite(tmp_path, "20261120") == folders[0]
    assert find_suite(tmp_path, str(folders[0])) == folders[0]
    with pytest.raises(UsageError, match="no suite"):
        find_suite(tmp_path, "tomorrow")
