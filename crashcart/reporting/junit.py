"""`junit.xml`: one test case per check, so that a CI page shows what was looked at and what it came to.

What failed is a `failure`. What is inconclusive is an `error`, never `skipped`: CI servers show a skipped test as green
or grey and carry on, while an error is red and means in JUnit's own words that the test could not be carried out, which
is what happened. So no run that is not a pass can look like one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec

from crashcart.model.errors import ExitStatus
from crashcart.model.verdict import Outcome, Verdict
from crashcart.reporting import words
from crashcart.reporting.files import write_text

_NO_TEST_FAILED = (ExitStatus.NOT_UNDONE, ExitStatus.OURS, ExitStatus.INTERRUPTED)
"""With these the run was broken off: that is an error, whatever was found before."""


class Case(msgspec.Struct, frozen=True):
    """One check on its way into the file."""

    group: str
    name: str
    outcome: Outcome
    message: str
    detail: str


def junit_xml(verdict: Verdict) -> str:
    """The whole document of one run. Its words are the verdict's, its text is escaped, and it holds no clock."""
    return render_many([verdict])


def render_many(verdicts: Sequence[Verdict]) -> str:
    """One document of several runs, in their order: one test suite a run and group of checks.

    Runs of the same experiment are told apart by their run ids. Without any run there is one error: a CI server shows a
    document without tests as green.
    """
    suites: dict[tuple[str, str], list[Case]] = {}
    often = Counter(verdict.experiment for verdict in verdicts)
    for verdict in verdicts:
        run = verdict.experiment if often[verdict.experiment] == 1 else f"{verdict.experiment}@{verdict.run_id}"
        for case in _cases(verdict):
            suites.setdefault((run, case.group), []).append(case)
    if not verdicts:
        suites["crashcart", "run"] = [Case("run", "runs", Outcome.INCONCLUSIVE, "Nothing was run.", "Nothing was run.")]
    totals = _totals([case for cases in suites.values() for case in cases])
    root = ET.Element("testsuites", {"name": "crashcart", **totals})
    for (run, group), cases in suites.items():
        suite = ET.SubElement(root, "testsuite", {"name": f"{_xml(run)}.{group}", **_totals(cases)})
        for case in cases:
            _append(suite, run, case)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def write_junit(path: Path, verdict: Verdict) -> Path:
    """Write it whole or not at all."""
    return write_text(path, junit_xml(verdict))


def _append(suite: ET.Element, run: str, case: Case) -> None:
    names = {"classname": f"crashcart.{_xml(run)}.{case.group}", "name": _xml(case.name), "time": "0"}
    element = ET.SubElement(suite, "testcase", names)
    if case.outcome is not Outcome.PASS:
        kind = "failure" if case.outcome is Outcome.FAIL else "error"
        problem = ET.SubElement(element, kind, {"message": _xml(case.message), "type": case.outcome.value})
        problem.text = _xml(case.detail)
    elif case.detail:
        ET.SubElement(element, "system-out").text = _xml(case.detail)


def _totals(cases: list[Case]) -> dict[str, str]:
    failures = sum(case.outcome is Outcome.FAIL for case in cases)
    errors = sum(case.outcome is Outcome.INCONCLUSIVE for case in cases)
    return {"tests": str(len(cases)), "failures": str(failures), "errors": str(errors), "skipped": "0", "time": "0"}


def _cases(verdict: Verdict) -> Iterator[Case]:
    yield _run(verdict)
    for check in verdict.validity:
        outcome = Outcome.PASS if check.ok else Outcome.INCONCLUSIVE
        remedy = f"\n{check.remedy}" if check.remedy else ""
        group = "gate" if check.name == "gate" else "validity"
        yield Case(group, f"{check.name}: {check.title}", outcome, check.detail, f"{check.detail}{remedy}")
    for seen in verdict.evidence:
        outcome = Outcome.PASS if seen.ok else Outcome.INCONCLUSIVE
        numbers = (
            f"seen in {words.share(seen.seen_share)} of the probes, {words.share(seen.outside_share)} outside it, "
            f"{seen.samples} probes, {seen.calls} calls by clients ({seen.min_calls} needed)"
        )
        yield Case("evidence", f"{seen.fault}: {seen.title}", outcome, seen.detail, f"{seen.detail}\n{numbers}")
    for one in verdict.objectives:
        numbers = (
            f"observed {words.share(one.observed)}, objective {words.target(one.objective)}: "
            f"{one.good} good of {one.valid} valid, {one.excluded} excluded, p = {words.chance(one.p_value)}"
        )
        name = f"{one.phase} · {one.slo} · {one.cohort}"
        yield Case("objectives", name, one.outcome, one.reason or numbers, f"{one.reason}\n{numbers}".strip())
    if verdict.recovery is not None:
        recovery = verdict.recovery
        numbers = (
            f"after {words.seconds(recovery.recovered_after_s)}, within {words.seconds(recovery.within_s)} expected"
        )
        name = f"recovered within {words.seconds(recovery.within_s)}"
        yield Case(
            "recovery", name, recovery.outcome, recovery.reason or numbers, f"{recovery.reason}\n{numbers}".strip()
        )
    for law in verdict.invariants:
        rows = "\n".join(_witness(witness.row) for witness in law.witnesses)
        numbers = f"{law.violations} against it, {law.examined} examined ({law.min_examined} needed)"
        name = f"{law.name}: {law.title}"
        yield Case("invariants", name, law.outcome, law.reason or numbers, f"{law.reason}\n{numbers}\n{rows}".strip())


def _run(verdict: Verdict) -> Case:
    """The run as a whole: what no single check shows (an abort, something that could not be undone) is red here."""
    outcome = verdict.outcome
    if verdict.exit_status in _NO_TEST_FAILED or (outcome is Outcome.PASS and verdict.exit_status != ExitStatus.PASS):
        outcome = Outcome.INCONCLUSIVE
    lines = [f"ended: {verdict.ended}", f"exit status: {verdict.exit_status}", *verdict.reasons]
    return Case(
        "run", verdict.title or verdict.experiment, outcome, verdict.headline, "\n".join([verdict.headline, *lines])
    )


def _witness(row: dict[str, object]) -> str:
    return " · ".join(f"{key}={words.value(cell)}" for key, cell in words.cells(row))


def _xml(text: str) -> str:
    """Without the characters that XML cannot hold, escaped or not; lines are kept."""
    return "\n".join(words.clean(line, longest=2000) for line in text.splitlines())
