"""Planted defects: is each caught, by the check that should, and does the same run without it pass?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crashcart.loading.project import Project
from crashcart.model.errors import UsageError
from crashcart.model.hints import did_you_mean
from crashcart.model.verdict import Outcome, Verdict
from crashcart.selftest.campaign import Campaign, CaseResult, carry_out
from crashcart.selftest.catching import broken_checks, too_busy, why
from crashcart.selftest.launching import Bench, Ran, heed_abort, run_to_end
from crashcart.selftest.overlay import design_name, lay_over
from crashcart.selftest.planted import FILE, Defect, Planted, read_planted
from crashcart.selftest.telling import Report

NAME = "defects"
TRIES = 3
"""A run for which the machine was too busy tells nothing, and is made again so often in all."""
_CONTROL = "control-"


class DefectResult(CaseResult, frozen=True, kw_only=True):
    """Of one defect, or of the shop without any (a control)."""

    came_to: Literal["pass", "fail", "inconclusive", "nothing"]
    """The verdict's word; nothing: there was none."""
    broken: tuple[str, ...]
    """Every check that was broken."""
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Planting:
    """What is tried, and where."""

    planted: Planted
    bench: Bench
    """Of the project that has the designs with defects in them."""
    run: Callable[..., Ran] = run_to_end

    def execute(self, case: str) -> DefectResult:
        """One control or one defect, by its name."""
        setting, defect = case.removeprefix(_CONTROL), self.planted.defects.get(case)
        if defect is None:
            ran, tries = self._run(case, setting, None)
            return _control(ran, tries, self.bench)
        ran, tries = self._run(case, defect.shown_by, defect)
        return _tried(defect, ran, tries, self.bench)

    def _run(self, case: str, setting: str, defect: Defect | None) -> tuple[Ran, int]:
        how = self.planted.settings[setting]
        options = [word for override in how.set for word in ("--set", override)]
        if defect is not None:
            options += ["--design", design_name(case)]
        number = 0
        while True:
            number += 1
            ran = self.run(self.bench, f"{NAME}-{case}", how.experiment, *options)
            heed_abort(ran)
            verdict = ran.verdict
            told = verdict is None or not too_busy(verdict)
            if told or number == TRIES or (defect is not None and _is_caught(defect, verdict)):
                return ran, number


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a folder declares, and which of it is to be tried."""

    planted: Planted
    chosen: tuple[str, ...]
    declared: str
    """Another one for other declarations."""


def wanted(project: Project, folder: Path, only: Collection[str]) -> Wanted:
    """Of a folder's defects all, or those. Nothing is begun.

    Raises:
        BadFile, UsageError: the folder's declarations are wrong, or there is no such defect.
    """
    planted = read_planted(folder, project)
    declared = hashlib.sha256((folder / FILE).read_bytes()).hexdigest()[:16]
    return Wanted(planted, _chosen(planted, only), declared)


def find_defects(bench: Bench, project: Project, what: Wanted, tell: Callable[[str], None]) -> Report:
    """Run the shop with each of those defects, and each setting without any before."""
    planted = what.planted
    laid_over = Bench(lay_over(project, planted, bench.out / "project"), bench.out, bench.same)
    campaign = Campaign(
        name=NAME,
        asked={"declared": what.declared, **bench.same},
        cases=tuple(_cases(planted, what.chosen)),
        result=DefectResult,
        execute=Planting(planted, laid_over).execute,
    )
    return report_on(planted, carry_out(campaign, bench.out, tell))


def _chosen(planted: Planted, only: Collection[str]) -> tuple[str, ...]:
    for name in only:
        if name not in planted.defects:
            remedy = did_you_mean(name, planted.defects, "defects")
            raise UsageError(f"there is no defect {name!r}", remedy=remedy)
    return tuple(name for name in planted.defects if not only or name in only)


def _cases(planted: Planted, chosen: Iterable[str]) -> Iterator[str]:
    by_setting: dict[str, list[str]] = {}
    for name in chosen:
        by_setting.setdefault(planted.defects[name].shown_by, []).append(name)
    for setting, names in by_setting.items():
        yield f"{_CONTROL}{setting}"
        yield from names


def _control(ran: Ran, tries: int, bench: Bench) -> DefectResult:
    verdict = ran.verdict
    came_to, broken = _what_came(verdict)
    passed = came_to == "pass"
    told = "nothing planted: pass" if passed else f"nothing planted: {came_to} ({_first(verdict, ran)})"
    return DefectResult(
        line=told,
        found=() if passed else (f"a run with nothing planted came to {came_to}: {_first(verdict, ran)}",),
        recording=bench.inside(ran.recording),
        came_to=came_to,
        broken=broken,
        tries=tries,
    )


def _tried(defect: Defect, ran: Ran, tries: int, bench: Bench) -> DefectResult:
    verdict = ran.verdict
    came_to, broken = _what_came(verdict)
    found: tuple[str, ...] = ()
    if verdict is not None and _is_caught(defect, verdict):
        line = f"caught by {defect.caught_by}: {why(verdict, defect.caught_by)}"
    else:
        line = f"NOT caught by {defect.caught_by}: {came_to}, broken {', '.join(broken) or 'nothing'}"
        found = (f"{defect.is_}: {line}",)
    return DefectResult(
        line=line,
        found=found,
        recording=bench.inside(ran.recording),
        came_to=came_to,
        broken=broken,
        tries=tries,
    )


def _is_caught(defect: Defect, verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.outcome is defect.verdict and defect.caught_by in broken_checks(verdict)


def _what_came(
    verdict: Verdict | None,
) -> tuple[Literal["pass", "fail", "inconclusive", "nothing"], tuple[str, ...]]:
    if verdict is None:
        return "nothing", ()
    words: dict[Outcome, Literal["pass", "fail", "inconclusive"]] = {
        Outcome.PASS: "pass",
        Outcome.FAIL: "fail",
        Outcome.INCONCLUSIVE: "inconclusive",
    }
    return words[verdict.outcome], broken_checks(verdict)


def _first(verdict: Verdict | None, ran: Ran) -> str:
    if verdict is not None and verdict.reasons:
        return verdict.reasons[0]
    return (ran.said.splitlines() or ["it said nothing"])[-1]


def report_on(planted: Planted, results: Mapping[str, DefectResult]) -> Report:
    """The matrix: each defect, the check that must catch it, and all that really did."""
    rows = tuple(_row(planted, name, result) for name, result in results.items() if name in planted.defects)
    controls = {name: result for name, result in results.items() if name.startswith(_CONTROL)}
    caught = sum(not results[name].found for name in results if name in planted.defects)
    quiet = sum(not result.found for result in controls.values())
    return Report(
        title="Planted defects",
        head=("defect", "in", "experiment", "must be caught by", "", "also broken"),
        rows=rows,
        says=(
            f"{caught} of {len(rows)} defects were caught by the check that should catch them",
            f"{quiet} of {len(controls)} runs with nothing planted, of the same experiments and settings, passed",
        ),
        found=tuple(what for result in results.values() for what in result.found),
    )


def _row(planted: Planted, name: str, result: DefectResult) -> tuple[str, ...]:
    defect = planted.defects[name]
    others = [check for check in result.broken if not _says_the_same(check, defect.caught_by)]
    return (
        defect.is_,
        defect.service,
        planted.settings[defect.shown_by].experiment,
        defect.caught_by,
        "NOT CAUGHT" if result.found else "caught",
        ", ".join(others),
    )


def _says_the_same(check: str, other: str) -> bool:
    return check == other or check.startswith(f"{other}/") or other.startswith(f"{check}/")
