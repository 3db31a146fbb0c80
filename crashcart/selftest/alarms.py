"""False alarms: nothing is wrong, and the verdict must say so, every time (an A/A test)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from crashcart.loading import Project
from crashcart.model.chance import exact_interval
from crashcart.model.errors import ExitStatus
from crashcart.model.verdict import Outcome, Verdict
from crashcart.selftest.campaign import Campaign, CaseResult, carry_out
from crashcart.selftest.deriving import links_in_turn, write_noop, write_plain
from crashcart.selftest.launching import Bench, Ran, heed_abort, outcome_of, run_to_end
from crashcart.selftest.telling import Report

NAME = "a-a"
FULL = 60
PLAIN, NOOP = "plain", "noop"


class Quiet(CaseResult, frozen=True, kw_only=True):
    """What one run said although nothing was wrong."""

    kind: str
    """`plain`: nothing was done. `noop`: by a fault that does nothing."""
    status: int
    """The command's exit status."""
    outcome: str
    """The verdict's; `none` where there is none."""
    took_s: float
    neighbours_busy_share: float | None
    """Share of the machine that others used meanwhile."""

    @property
    def is_alarm(self) -> bool:
        """Any non-pass."""
        return self.status != ExitStatus.PASS or self.outcome != Outcome.PASS.value


@dataclass(frozen=True, slots=True)
class _Order:
    """One run."""

    file: Path
    seed: int
    """Of its load: other shoppers come each time, the first time those of the experiment itself."""


def look_for_alarms(
    bench: Bench, project: Project, experiment: str, runs: int, overrides: Sequence[str], tell: Callable[[str], None]
) -> Report:
    """Run the experiment's steady state so often, alternately plain and with a fault that does nothing."""
    file = project.experiment(experiment, overrides)
    folder = bench.out / "experiments"
    plain = write_plain(file, folder)
    noops = [write_noop(file, project, link, folder) for link in links_in_turn(file, project)]
    orders = {
        f"{number:03}-{_kind(number)}": _Order(_file(number, plain, noops), file.experiment.load.seed + number - 1)
        for number in range(1, runs + 1)
    }
    campaign = Campaign(
        name=NAME,
        asked={"experiment": experiment, "overrides": " ".join(overrides), **bench.same},
        cases=tuple(orders),
        result=Quiet,
        execute=partial(_run_quiet, bench, orders),
    )
    return report_on(carry_out(campaign, bench.out, tell))


def _kind(number: int) -> str:
    return PLAIN if number % 2 else NOOP


def _file(number: int, plain: Path, noops: Sequence[Path]) -> Path:
    """Every second one has the fault, on one link after the other."""
    return plain if number % 2 else noops[(number // 2 - 1) % len(noops)]


def _run_quiet(bench: Bench, orders: Mapping[str, _Order], case: str) -> Quiet:
    order = orders[case]
    ran = run_to_end(bench, f"{NAME}-{case}", str(order.file), "--seed", str(order.seed))
    heed_abort(ran)
    return judge_quiet(bench, case, ran)


def judge_quiet(bench: Bench, case: str, ran: Ran) -> Quiet:
    """What a run has said."""
    verdict = ran.verdict
    result = Quiet(
        line="",
        recording=bench.inside(ran.recording),
        kind=case.partition("-")[2],
        status=ran.status,
        outcome=outcome_of(verdict),
        took_s=ran.took_s,
        neighbours_busy_share=verdict.cost.neighbours_busy_share if verdict is not None else None,
    )
    if not result.is_alarm:
        return _told(result, "pass")
    why = f"{result.outcome}, exit status {ran.status}: {why_no_pass(verdict, ran)}"
    return _told(result, why, f"{case}: {why}")


def _told(result: Quiet, line: str, *found: str) -> Quiet:
    import msgspec

    return msgspec.structs.replace(result, line=line, found=found)


def why_no_pass(verdict: Verdict | None, ran: Ran) -> str:
    """All checks that were missed, else what it gives as its reasons, else the last line that it printed."""
    if verdict is None:
        return next(iter(ran.said.splitlines()[-1:]), "it said nothing")
    missed = [f"{check.name}: {check.detail}" for check in verdict.validity if not check.ok]
    return "; ".join(missed or verdict.reasons or (verdict.headline,))


def report_on(results: Mapping[str, Quiet]) -> Report:
    """How often it cried wolf, and how sure that is."""
    counted = {kind: Counter(_word(one) for one in results.values() if one.kind == kind) for kind in (PLAIN, NOOP)}
    words = ("pass", "fail", "inconclusive", "other")
    everything = [one for one in results.values() if one.is_alarm]
    open_ones = [one for one in everything if _word(one) == "inconclusive"]
    rows = [(kind, str(count.total()), *(str(count[word]) for word in words)) for kind, count in counted.items()]
    return Report(
        title="False alarms: nothing was wrong",
        head=("what was done", "runs", *words),
        rows=tuple(rows),
        says=(
            _rate("said anything but pass", len(everything), len(results)),
            _rate("said that something failed", len(everything) - len(open_ones), len(results)),
            _rate("came to nothing (inconclusive)", len(open_ones), len(results)),
        ),
        found=tuple(what for one in results.values() for what in one.found),
    )


def _word(one: Quiet) -> str:
    if not one.is_alarm:
        return "pass"
    if one.outcome == Outcome.FAIL.value and one.status == ExitStatus.FAIL:
        return "fail"
    if one.outcome == Outcome.INCONCLUSIVE.value and one.status == ExitStatus.INCONCLUSIVE:
        return "inconclusive"
    return "other"


def _rate(what: str, seen: int, of: int) -> str:
    low, high = exact_interval(seen, of)
    share = seen / of if of else 0.0
    return f"{seen} of {of} {what}: {share:.1%} (95 % confidence interval, Clopper–Pearson: {low:.2%} to {high:.2%})"
