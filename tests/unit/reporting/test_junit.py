from __future__ import annotations

from xml.etree import ElementTree as ET

import msgspec
import pytest

from crashcart.model.errors import ExitStatus
from crashcart.model.verdict import Outcome, Verdict, Witness
from crashcart.reporting.junit import junit_xml, render_many
from tests.unit.reporting.conftest import Made
from tests.unit.reporting.stories import HOSTILE


def parse(verdict: Verdict) -> ET.Element:
    return ET.fromstring(junit_xml(verdict))


def problems(root: ET.Element) -> int:
    return len(root.findall(".//failure")) + len(root.findall(".//error"))


def test_a_pass_is_green(passed: Made) -> None:
    root = parse(passed.verdict)
    assert problems(root) == 0
    assert (root.get("failures"), root.get("errors")) == ("0", "0")


def test_every_check_is_a_test_case(failed: Made) -> None:
    verdict = failed.verdict
    checks = [*verdict.validity, *verdict.evidence, *verdict.objectives, *verdict.invariants]
    cases = parse(verdict).findall(".//testcase")
    assert len(cases) == len(checks) + 2  # recovery, and the run as a whole
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)


def test_a_miss_is_a_failure_with_its_numbers(failed: Made) -> None:
    case = parse(failed.verdict).find(".//testcase[@name='fault · purchase-success · network:amex']")
    assert case is not None
    failure = case.find("failure")
    assert failure is not None
    assert "good of" in str(failure.text)


def test_a_broken_invariant_shows_its_witnesses(failed: Made) -> None:
    failure = parse(failed.verdict).find(".//testcase[@name='no-double-charge: Nobody is charged twice']/failure")
    assert failure is not None
    assert "reference=R-0000001234" in str(failure.text)


def test_what_is_inconclusive_is_an_error_and_nothing_is_ever_skipped(unsure: Made) -> None:
    root = parse(unsure.verdict)
    assert not root.findall(".//skipped")
    assert not root.findall(".//failure")
    assert problems(root) == sum(
        [
            1 + 1,  # the run, and its recovery
            sum(not check.ok for check in unsure.verdict.validity),
            sum(not seen.ok for seen in unsure.verdict.evidence),
            len(unsure.verdict.objectives),
        ]
    )


@pytest.mark.parametrize("status", [status for status in ExitStatus if status is not ExitStatus.PASS])
@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_run_that_does_not_exit_with_zero_is_never_green(passed: Made, status: ExitStatus, outcome: Outcome) -> None:
    verdict = msgspec.structs.replace(passed.verdict, outcome=outcome, exit_status=int(status))
    root = parse(verdict)
    assert problems(root) >= 1
    assert int(root.get("failures", "0")) + int(root.get("errors", "0")) == problems(root)


def test_totals_of_suites_add_up(failed: Made) -> None:
    root = parse(failed.verdict)
    for total in ("tests", "failures", "errors"):
        assert int(str(root.get(total))) == sum(int(str(suite.get(total))) for suite in root)


def test_text_from_the_shop_cannot_break_the_file(failed: Made) -> None:
    law = msgspec.structs.replace(
        failed.verdict.invariants[0], reason=HOSTILE, witnesses=(Witness({"]]>" + HOSTILE: HOSTILE}),)
    )
    root = parse(msgspec.structs.replace(failed.verdict, headline=HOSTILE, title=HOSTILE, invariants=(law,)))
    assert "\x1b" not in "".join(root.itertext())
    assert not root.findall(".//script")


def test_the_same_verdict_gives_the_same_bytes(failed: Made) -> None:
    assert junit_xml(failed.verdict) == junit_xml(failed.verdict)


def test_several_runs_are_one_document_with_all_their_checks(passed: Made, failed: Made, unsure: Made) -> None:
    verdicts = [made.verdict for made in (passed, failed, unsure)]
    root = ET.fromstring(render_many(verdicts))
    cases = root.findall(".//testcase")
    assert len(cases) == sum(len(parse(verdict).findall(".//testcase")) for verdict in verdicts)
    assert problems(root) == sum(problems(parse(verdict)) for verdict in verdicts)
    assert int(str(root.get("tests"))) == len(cases)


def test_two_runs_of_one_experiment_are_told_apart(passed: Made) -> None:
    again = msgspec.structs.replace(passed.verdict, run_id="another")
    cases = ET.fromstring(render_many([passed.verdict, again])).findall(".//testcase")
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)
    assert any("another" in str(case.get("classname")) for case in cases)


def test_no_run_at_all_is_never_green() -> None:
    assert problems(ET.fromstring(render_many([]))) == 1
