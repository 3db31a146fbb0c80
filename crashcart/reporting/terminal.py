"""The verdict in a terminal. The last two lines are for someone who reads nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from crashcart.model.verdict import EvidenceResult, InvariantResult, ObjectiveResult, Outcome, PhaseNumbers, Verdict
from crashcart.reporting import words
from crashcart.reporting.objectives import SloGroup, group_objectives

_STYLES = {Outcome.PASS: "bold green", Outcome.FAIL: "bold red", Outcome.INCONCLUSIVE: "bold yellow"}
_SIGNS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.INCONCLUSIVE: "?"}
_SHOWN_COHORTS = 4
_SHOWN_WITNESSES = 3


def render_verdict(verdict: Verdict, console: Console, *, report: Path | None = None) -> None:
    """Print what was found, worst first, then one line with the word and the headline, the exit status and the report.

    Text is never read as markup: what the shop wrote is shown, not obeyed.
    """
    console.print()
    _phases(verdict.phases, console)
    _objectives(verdict, console)
    _recovery(verdict, console)
    _invariants(verdict.invariants, console)
    _validity(verdict, console)
    _bullets("where counts differ", verdict.disagreements, console)
    _bullets("why", verdict.reasons, console)
    _bullets("look at", verdict.look_at, console)
    console.print()
    console.print(_signed(verdict.outcome, Text(words.clean(verdict.headline)), word=True), soft_wrap=True)
    ending = f"exit status {verdict.exit_status}" + (f" · report {report}" if report else "")
    console.print(Text(ending), soft_wrap=True)


def _signed(outcome: Outcome, text: Text, *, word: bool = False) -> Text:
    sign = f"{_SIGNS[outcome]} {outcome.value.upper()}" if word else _SIGNS[outcome]
    return Text.assemble((sign, _STYLES[outcome]), "  " if word else " ", text)


def _table(*headings: str, left: int = 1) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for position, heading in enumerate(headings):
        table.add_column(heading, justify="left" if position < left else "right", overflow="fold")
    return table


def _section(title: str, body: Table, console: Console) -> None:
    if body.row_count:
        console.print(Text(title, style="bold"))
        console.print(Padding(body, (0, 0, 1, 2)))


def _phases(phases: Iterable[PhaseNumbers], console: Console) -> None:
    table = _table("phase", "offered", "completed", "failed", "unknown", "declined", "sold out", "p50", "p99")
    for one in phases:
        numbers = (one.offered, one.ok, one.failed, one.unknown, one.declined, one.sold_out)
        latencies = (words.milliseconds(one.checkout_p50_ms), words.milliseconds(one.checkout_p99_ms))
        table.add_row(Text(words.clean(one.name)), *(words.count(number) for number in numbers), *latencies)
    _section("purchases", table, console)


def _objectives(verdict: Verdict, console: Console) -> None:
    table = _table("", "objective", "cohort", "wanted", "observed", "margin", "good / valid", left=3)
    for group in group_objectives(verdict.objectives):
        for one in _worth_showing(group):
            table.add_row(
                _signed(one.outcome, Text("")),
                Text(words.clean(f"{one.phase} · {one.slo}")),
                Text(words.cohort(one.cohort)),
                words.target(one.objective),
                words.share(one.observed),
                words.margin(one.margin),
                f"{words.count(one.good)} / {words.count(one.valid)}",
            )
    _section("objectives (the worst cohort of each; all of them are in the report)", table, console)


def _worth_showing(group: SloGroup) -> list[ObjectiveResult]:
    """What is not met, the worst cohort and all shoppers."""
    bad = [one for one in group.rows if one.outcome is not Outcome.PASS][:_SHOWN_COHORTS]
    rest = [one for one in (group.worst, group.everyone) if one is not None and one not in bad]
    return bad + [one for position, one in enumerate(rest) if one not in rest[:position]]


def _recovery(verdict: Verdict, console: Console) -> None:
    table = _table("", "", left=2)
    if verdict.recovery is not None:
        table.add_row(_signed(verdict.recovery.outcome, Text("")), Text(words.clean(verdict.recovery.reason)))
    _section("recovery", table, console)


def _invariants(invariants: Iterable[InvariantResult], console: Console) -> None:
    table = _table("", "invariant", "against it", "examined", left=2)
    for law in sorted(invariants, key=lambda one: one.outcome is Outcome.PASS):
        title = Text(words.clean(law.title))
        if law.outcome is not Outcome.PASS:
            title.append(f"\n{words.clean(law.reason)}", style="dim")
            for witness in law.witnesses[:_SHOWN_WITNESSES]:
                cells = " · ".join(f"{words.clean(key)} {words.value(cell)}" for key, cell in witness.row.items())
                title.append(f"\n{words.clean(cells)}")
        table.add_row(_signed(law.outcome, Text("")), title, words.count(law.violations), words.count(law.examined))
    _section("the books", table, console)


def _validity(verdict: Verdict, console: Console) -> None:
    table = _table("", "", left=2)
    for seen in verdict.evidence:
        table.add_row(_signed(_met(seen.ok), Text("")), Text(_evidence(seen)))
    for check in verdict.validity:
        if not check.ok:
            text = f"{check.title}: {check.detail}" + (f" {check.remedy}" if check.remedy else "")
            table.add_row(_signed(Outcome.INCONCLUSIVE, Text("")), Text(words.clean(text)))
    held = sum(check.ok for check in verdict.validity)
    if verdict.validity:
        all_held = held == len(verdict.validity)
        table.add_row(
            _signed(_met(all_held), Text("")), Text(f"{held} of {len(verdict.validity)} validity checks hold")
        )
    _section("does the run count?", table, console)


def _met(ok: bool) -> Outcome:
    return Outcome.PASS if ok else Outcome.INCONCLUSIVE


def _evidence(seen: EvidenceResult) -> str:
    return words.clean(f"{seen.title}: {seen.detail}")


def _bullets(title: str, lines: Iterable[str], console: Console) -> None:
    table = _table("", "", left=2)
    for line in lines:
        table.add_row("·", Text(words.clean(line)))
    _section(title, table, console)
