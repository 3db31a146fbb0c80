"""A suite's files."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

import crashcart
from crashcart.model.errors import BadFile, CrashcartError, ExitStatus, UsageError
from crashcart.model.verdict import Outcome
from crashcart.shelf.attempts import attempt_of, broken_attempt
from crashcart.shelf.keeping import SuiteFolder, read_suite
from crashcart.shelf.suite import SUITE_FORMAT, Attempt, Entry, Suite
from tests.unit.shelf.made import a_plan, a_verdict, record

SUITE_ID = "20261122T090000Z-0000"
PLANS = (a_plan("a"), a_plan("b"))


def a_suite(*entries: Entry, ended: str = "completed") -> Suite:
    return Suite(
        SUITE_FORMAT, SUITE_ID, "--tag nightly", "", "", 60.0, ended, 0, "", crashcart.__version__, (), entries
    )


def ran(runs: Path, name: str, run_id: str, outcome: Outcome) -> Attempt:
    verdict = a_verdict(outcome, experiment=name, run_id=run_id)
    record(runs, run_id, verdict, experiment=name)
    return attempt_of(verdict, f"{name}/{run_id}", 30.0, 23.0)


def red(root: ET.Element) -> int:
    return len(root.findall(".//failure")) + len(root.findall(".//error"))


def test_one_junit_file_holds_the_checks_of_all(tmp_path: Path) -> None:
    folder = SuiteFolder(tmp_path, SUITE_ID, PLANS, tmp_path / "ci" / "junit.xml")
    entries = [
        Entry(name, "", 23.0, (ran(tmp_path, name, f"2026112{n}T080000Z-aaaa", outcome),))
        for n, (name, outcome) in enumerate([("a", Outcome.PASS), ("b", Outcome.FAIL)])
    ]
    folder.keep(a_suite(*entries))
    root = ET.parse(tmp_path / "ci" / "junit.xml").getroot()
    assert {str(case.get("classname")).split(".")[1] for case in root.findall(".//testcase")} == {"a", "b"}
    assert red(root) == 1, "the run of b, and nothing of a"
    assert (folder.path / "junit.xml").read_bytes() == (tmp_path / "ci" / "junit.xml").read_bytes()


def test_what_was_inconclusive_first_is_said_and_what_counts_is_the_last(tmp_path: Path) -> None:
    attempts = (
        ran(tmp_path, "a", "20261122T080000Z-aaaa", Outcome.INCONCLUSIVE),
        ran(tmp_path, "a", "20261122T080100Z-bbbb", Outcome.PASS),
    )
    other = ran(tmp_path, "b", "20261122T080200Z-cccc", Outcome.PASS)
    folder = SuiteFolder(tmp_path, SUITE_ID, PLANS, None)
    folder.keep(a_suite(Entry("a", "", 23.0, attempts), Entry("b", "", 23.0, (other,))))
    root = ET.parse(folder.path / "junit.xml").getroot()
    assert red(root) == 0
    told = "".join(root.itertext())
    assert "inconclusive, then pass" in told
    assert "attempt 1 (20261122T080000Z-aaaa): Inconclusive: as it was made up." in told
    assert "| inconclusive, then pass |" in (folder.path / "summary.md").read_text(encoding="utf-8")
    assert read_suite(folder.path).entries[0].course == "inconclusive, then pass"


def test_what_was_not_run_or_broke_is_never_green(tmp_path: Path) -> None:
    folder = SuiteFolder(tmp_path, SUITE_ID, PLANS, None)
    broken = broken_attempt("20261122T080000Z-aaaa", "", "door: it did not come up", ExitStatus.OURS, 2.0)
    folder.keep(a_suite(Entry("a", "", 23.0, (broken,)), Entry("b", "", 23.0), ended="broken"))
    root = ET.parse(folder.path / "junit.xml").getroot()
    messages = [str(error.get("message")) for error in root.findall(".//error")]
    assert messages == ["door: it did not come up", "Not run: the suite ended before it."]


def test_whoever_reads_the_junit_file_before_the_end_meets_an_error(tmp_path: Path) -> None:
    SuiteFolder(tmp_path, SUITE_ID, PLANS, tmp_path / "junit.xml")
    assert red(ET.parse(tmp_path / "junit.xml").getroot()) == 1


def test_files_that_can_not_be_written_are_named_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="that is a folder"):
        SuiteFolder(tmp_path / "runs", SUITE_ID, PLANS, tmp_path)
    with pytest.raises(UsageError, match="cannot write"):
        SuiteFolder(tmp_path / "runs", SUITE_ID, PLANS, tmp_path / "file" / "junit.xml")
    with pytest.raises(UsageError, match="the suite can't be written"):
        SuiteFolder(tmp_path / "file", SUITE_ID, PLANS, None)
    assert not (tmp_path / "runs").exists(), "nothing is left behind"


def test_a_folder_that_goes_away_meanwhile_does_not_say_that_nothing_was_started(tmp_path: Path) -> None:
    folder = SuiteFolder(tmp_path / "runs", SUITE_ID, PLANS, None)
    folder.path.rmdir()
    with pytest.raises(CrashcartError) as raised:
        folder.keep(a_suite(Entry("a", "", 23.0), Entry("b", "", 23.0)))
    assert raised.value.exit_status == ExitStatus.OURS


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not a suite's summary"),
        ('{"format": "crashcart/suite/v9"}', "is of the format"),
        (None, "cannot be read"),
    ],
)
def test_a_summary_that_is_none_is_named(tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / "summary.json").write_text(content, encoding="utf-8")
    with pytest.raises(BadFile, match=says):
        read_suite(tmp_path)


def test_what_the_shop_wrote_makes_no_table_of_its_own(tmp_path: Path) -> None:
    attempt = msgspec.structs.replace(ran(tmp_path, "a", "r", Outcome.FAIL), worst="a | b <script> [x](y) `c`")
    folder = SuiteFolder(tmp_path, SUITE_ID, PLANS[:1], None)
    folder.keep(a_suite(Entry("a", "", 23.0, (attempt,))))
    (row,) = [
        line for line in (folder.path / "summary.md").read_text(encoding="utf-8").splitlines() if "script" in line
    ]
    assert row.replace("\\|", "").count("|") == 7
    assert "<script>" not in row
    assert "\\[x\\](y)" in row


@pytest.mark.parametrize("status", [ExitStatus.NOT_UNDONE, ExitStatus.OURS])
def test_what_went_wrong_after_a_run_had_passed_is_red(tmp_path: Path, status: ExitStatus) -> None:
    run_id = "20261121T080000Z-aaaa"
    ran(tmp_path, "a", run_id, Outcome.PASS)
    entry = Entry("a", "", 23.0, (broken_attempt(run_id, f"a/{run_id}", "it went wrong", status, 30.0),))
    folder = SuiteFolder(tmp_path, SUITE_ID, PLANS[:1], None)
    folder.keep(a_suite(entry))
    root = ET.parse(folder.path / "junit.xml").getroot()
    assert red(root) == 1
    assert "it went wrong" in (folder.path / "junit.xml").read_text()
