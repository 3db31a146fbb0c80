"""When a planted defect counts as caught, when a run is made again, and what the matrix says."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from crashcart.model.verdict import Outcome, ValidityCheck, Verdict
from crashcart.reporting.jsonfile import verdict_json
from crashcart.selftest.catching import broken_checks, why
from crashcart.selftest.defects import DefectResult, Planting, report_on
from crashcart.selftest.launching import Bench, Ran
from crashcart.selftest.planted import Defect, Planted, Setting
from crashcart.selftest.telling import markdown
from tests.unit.shelf.made import a_recovery, a_verdict, an_invariant, an_objective

BOOKS, SLO = "invariant/no-double-charge", "slo/purchase-success/fault"
PASS = a_verdict()
CHARGED_TWICE = a_verdict(Outcome.FAIL, invariants=(an_invariant(3),))
VISA_LOST = a_verdict(
    Outcome.FAIL,
    objectives=(an_objective(950, 1000), an_objective(10, 700, Outcome.FAIL, "network:visa")),
    recovery=a_recovery(None, Outcome.FAIL),
)
LATE = msgspec.structs.replace(
    a_verdict(Outcome.INCONCLUSIVE), validity=(ValidityCheck("lateness", "", False, "4 % were late"),)
)
CROWDED = msgspec.structs.replace(
    a_verdict(Outcome.INCONCLUSIVE), validity=(ValidityCheck("machine", "", False, "others filled it"),)
)


def _planted(caught_by: str = BOOKS, verdict: Outcome = Outcome.FAIL) -> Planted:
    defect = Defect("charged twice", "payments", ("python", "-m", "x"), "short", caught_by, verdict)
    return Planted("", "", {"short": Setting("shelf-gone", ("load.seed=4",))}, {"twice": defect})


class Runs:
    """Gives the next verdict each time it is asked for a run."""

    def __init__(self, folder: Path, *verdicts: Verdict | None) -> None:
        self._folder = folder
        self._verdicts = list(verdicts)
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, bench: Bench, case: str, experiment: str, *options: str) -> Ran:
        self.asked.append((case, experiment, *options))
        folder = self._folder / str(len(self.asked))
        folder.mkdir()
        if (verdict := self._verdicts.pop(0)) is None:
            return Ran(70, None, 1.0, "something\nthe shop did not come up")
        (folder / "verdict.json").write_text(verdict_json(verdict), encoding="utf-8")
        return Ran(verdict.exit_status, folder, 1.0, "")


def _tried(tmp_path: Path, planted: Planted, case: str, *verdicts: Verdict | None) -> tuple[DefectResult, Runs]:
    runs = Runs(tmp_path, *verdicts)
    return Planting(planted, Bench(tmp_path, tmp_path, {}), runs).execute(case), runs


def test_a_verdicts_broken_checks_have_names() -> None:
    assert broken_checks(PASS) == ()
    assert broken_checks(CHARGED_TWICE) == (BOOKS,)
    assert broken_checks(VISA_LOST) == (SLO, f"{SLO}/network:visa", "recovery")
    assert broken_checks(LATE) == ("validity/lateness",)
    assert why(LATE, "validity/lateness") == "4 % were late"
    assert why(VISA_LOST, SLO).startswith("network:visa: ")
    assert why(PASS, SLO) == ""


def test_a_defect_is_run_in_the_design_that_has_it_with_the_settings_changes(tmp_path: Path) -> None:
    result, runs = _tried(tmp_path, _planted(), "twice", CHARGED_TWICE)
    assert runs.asked == [("defects-twice", "shelf-gone", "--set", "load.seed=4", "--design", "defect-twice")]
    assert (result.found, result.came_to, result.broken) == ((), "fail", (BOOKS,))


def test_a_control_is_the_same_run_with_nothing_planted(tmp_path: Path) -> None:
    result, runs = _tried(tmp_path, _planted(), "control-short", PASS)
    assert runs.asked == [("defects-control-short", "shelf-gone", "--set", "load.seed=4")]
    assert result.found == ()


@pytest.mark.parametrize(
    ("caught_by", "expected", "verdict"),
    [
        (BOOKS, Outcome.FAIL, PASS),
        (BOOKS, Outcome.FAIL, VISA_LOST),
        (BOOKS, Outcome.INCONCLUSIVE, CHARGED_TWICE),
        (f"{SLO}/network:amex", Outcome.FAIL, VISA_LOST),
        (BOOKS, Outcome.FAIL, None),
    ],
)
def test_whatever_else_is_broken_only_the_named_check_and_the_named_word_count(
    tmp_path: Path, caught_by: str, expected: Outcome, verdict: Verdict | None
) -> None:
    result, _ = _tried(tmp_path, _planted(caught_by, expected), "twice", verdict)
    [found] = result.found
    assert f"NOT caught by {caught_by}" in found


@pytest.mark.parametrize("verdict", [CHARGED_TWICE, a_verdict(Outcome.INCONCLUSIVE), None])
def test_a_control_that_does_not_pass_is_found(tmp_path: Path, verdict: Verdict | None) -> None:
    result, _ = _tried(tmp_path, _planted(), "control-short", verdict)
    assert len(result.found) == 1


@pytest.mark.parametrize("case", ["twice", "control-short"])
def test_what_the_machine_was_too_busy_for_is_run_again_at_most_twice(tmp_path: Path, case: str) -> None:
    result, runs = _tried(tmp_path, _planted(), case, LATE, CROWDED, LATE)
    assert (len(runs.asked), result.tries, len(result.found)) == (3, 3, 1)


def test_books_that_are_broken_stay_so_on_a_busy_machine(tmp_path: Path) -> None:
    busy = msgspec.structs.replace(CHARGED_TWICE, validity=LATE.validity)
    result, runs = _tried(tmp_path, _planted(), "twice", busy)
    assert (len(runs.asked), result.found) == (1, ())


def test_a_run_that_somebody_ended_ends_the_campaign(tmp_path: Path) -> None:
    interrupted = a_verdict(Outcome.INCONCLUSIVE, exit_status=130)
    with pytest.raises(KeyboardInterrupt):
        _tried(tmp_path, _planted(), "twice", interrupted)


def test_the_matrix_has_a_row_a_defect_and_says_what_was_not_caught(tmp_path: Path) -> None:
    results = {
        "control-short": DefectResult(line="", came_to="pass", broken=()),
        "twice": DefectResult(line="", came_to="fail", broken=("recovery",), found=("charged twice: NOT caught",)),
    }
    report = report_on(_planted(), results)
    assert report.rows == (("charged twice", "payments", "shelf-gone", BOOKS, "NOT CAUGHT", "recovery"),)
    assert "0 of 1 defects" in report.says[0]
    assert "1 of 1 runs with nothing planted" in report.says[1]
    assert "**found**: charged twice" in markdown(report)
