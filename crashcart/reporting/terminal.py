"""The verdict in a terminal. The last two lines are for someone who reads nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from crashcart.model.verdict import (
    EvidenceResult,
    InvariantResult,
    ObjectiveResult,
    Outcome,
    RecoveryResult,
    Verdict,
)
from crashcart.reporting import words
from crashcart.reporting.objectives import EVERYONE, SloGroup, group_objectives
from crashcart.reporting.words import followed_up

_STYLES = {Outcome.PASS: "bold green", Outcome.FAIL: "bold red", Outcome.INCONCLUSIVE: "bold yellow"}
_SIGNS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.INCONCLUSIVE: "?"}
_ENDS = ("declined", "sold_out", "failed", "blocked", "gave_up", "unknown")
_SHOWN_COHORTS = 4
_SHOWN_WITNESSES = 3
_SHOWN_MARKS = 5
_SHOWN_INVARIANTS = 6
"""That hold; more of them are counted in one line, so that what was found fits on a screen."""
_NARROW = 106
"""Columns of a terminal below which objectives are shown without their events."""


def render_verdict(
    verdict: Verdict, console: Console, *, report: Path | None = None, unwritten: Sequence[str] = ()
) -> None:
    """Print what was found, worst first, then one line with the word and the headline, the exit status and the report.

    Text is never read as markup: what the shop wrote is shown, not obeyed. `unwritten`: reports there was no room for.
    """
    console.print()
    _phases(verdict, console)
    _objectives(verdict, console)
    _recovery(verdict, console)
    _invariants(verdict.invariants, console)
    _validity(verdict, console)
    _bullets("where counts differ", verdict.disagreements, console)
    _bullets("what shoppers saw", verdict.saw, console)
    _bullets("why", verdict.reasons, console)
    _bullets("look at", verdict.look_at, console)
    if unwritten:
        said = f"not written: {', '.join(unwritten)}; make room, or choose a folder that can be written"
        console.print(Text(said, style=_STYLES[Outcome.INCONCLUSIVE]), soft_wrap=True)
    console.print()
    console.print(
        _signed(verdict.outcome, Text(words.headline(words.clean(verdict.headline), verdict.outcome)), word=True),
        soft_wrap=True,
    )
    there = report is not None and report.name not in unwritten
    ending = f"exit status {verdict.exit_status}" + (f" · report {report}" if there else "")
    console.print(Text(ending), soft_wrap=True)


def _signed(outcome: Outcome, text: Text, *, word: bool = False) -> Text:
    sign = f"{_SIGNS[outcome]} {outcome.value.upper()}" if word else _SIGNS[outcome]
    return Text.assemble((sign, _STYLES[outcome]), "  " if word else " ", text)


def _table(*headings: str, left: int = 1) -> Table:
    named = any(headings)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_header=named)
    for position, heading in enumerate(headings):
        table.add_column(heading, justify="left" if position < left else "right", overflow="fold")
    return table


def _section(title: str, body: Table, console: Console, notes: Sequence[str] = ()) -> None:
    if body.row_count:
        console.print(Text(title, style="bold"))
        console.print(Padding(body, (0, 0, 0, 2)))
        for note in notes:
            console.print(Padding(Text(note, style="dim"), (0, 0, 0, 2)))
        console.print()


def _phases(verdict: Verdict, console: Console) -> None:
    """How purchases ended, what was lost and who was told; ends that none came to are left out."""
    phases = verdict.phases
    ends = [end for end in _ENDS if any(getattr(one, end) for one in phases)]
    table = _table("", "offered", "done", *(end.replace("_", " ") for end in ends), "p50", "p99")
    for one in phases:
        numbers = (one.offered, one.ok, *(getattr(one, end) for end in ends))
        latencies = (words.milliseconds(one.checkout_p50_ms), words.milliseconds(one.checkout_p99_ms))
        table.add_row(Text(words.clean(one.name)), *(words.count(number) for number in numbers), *latencies)
    _section("purchases", table, console, tuple(_lost(verdict)))


def _lost(verdict: Verdict) -> Iterator[str]:
    cost, told = verdict.cost, verdict.follow_up
    if cost.purchases_lost:
        carts = f", {words.plural(cost.carts_abandoned, 'cart')} abandoned" if cost.carts_abandoned else ""
        yield f"{words.plural(cost.purchases_lost, 'purchase')} lost, worth {words.money(cost.money_lost_cents)}{carts}"
    if told is not None and told.failed:
        yield f"of failed orders {followed_up(told)}"


def _objectives(verdict: Verdict, console: Console) -> None:
    """One row an SLO, with its worst cohort; more rows where more cohorts miss it."""
    table = _table("", "objective", "all", "wanted", "worst cohort", "observed", "wanted", "good / valid", left=2)
    table.columns[4].justify = "left"
    if console.width < _NARROW:
        table.columns = table.columns[:6]
    groups = group_objectives(verdict.objectives)
    for phase in dict.fromkeys(group.phase for group in groups):
        table.add_row("", Text(words.clean(phase), style="bold"))
        for cells in (row for group in groups if group.phase == phase for row in _objective_rows(group)):
            table.add_row(*cells[: len(table.columns)])
    _section("objectives", table, console)


def _objective_rows(group: SloGroup) -> Iterator[tuple[RenderableType, ...]]:
    missed = [row for row in group.rows if row.outcome is not Outcome.PASS and row.cohort != EVERYONE]
    shown = missed[:_SHOWN_COHORTS] or [group.worst]
    everyone = group.everyone
    first: tuple[RenderableType, ...] = (
        _signed(group.outcome, Text("")),
        Text(words.clean(group.slo)),
        _observed(everyone) if everyone else "",
        words.target(everyone.objective) if everyone else "",
    )
    for row in shown:
        events = f"{words.count(row.good)} / {words.count(row.valid)}"
        yield (*first, Text(words.cohort(row.cohort)), _observed(row), words.target(row.objective), events)
        first = ("", "", "", "")
    if len(missed) > len(shown):
        yield (*first, Text(f"and {len(missed) - len(shown)} more", style="dim"), "", "", "")


def _observed(row: ObjectiveResult) -> Text:
    style = "" if row.outcome is Outcome.PASS else _STYLES[row.outcome]
    return Text(words.share(row.observed), style=style)


def _recovery(verdict: Verdict, console: Console) -> None:
    table = _table("", "", left=2)
    found = verdict.recovery
    if found is not None:
        table.add_row(_signed(found.outcome, Text("")), Text(words.clean(found.reason)))
        if found.breached_after_s is not None:
            table.add_row("", Text(_parts(found), style="dim"))
    for at_s, text in verdict.marks[:_SHOWN_MARKS]:
        table.add_row("", Text(f"{words.seconds(at_s)}: {words.clean(text, longest=100)}", style="dim"))
    if len(verdict.marks) > _SHOWN_MARKS:
        table.add_row("", Text(f"and {len(verdict.marks) - _SHOWN_MARKS} more marks", style="dim"))
    _section("recovery", table, console)


def _parts(found: RecoveryResult) -> str:
    """From the start of the first fault, what happened when."""
    said = [f"felt after {words.seconds(found.breached_after_s)}"]
    known, acted = found.detected_after_s, found.mitigated_after_s
    by = f" ({words.clean(found.detected_by)})" if found.detected_by else ""
    said.append("no alert of the shop's own" if known is None else f"alert after {words.seconds(known)}{by}")
    said.append("mitigation never seen" if acted is None else f"mitigated after {words.seconds(acted)}")
    return ", ".join(said)


def _invariants(invariants: Sequence[InvariantResult], console: Console) -> None:
    """What is broken or not settled, with witnesses; those that hold in one line, where they are many."""
    held = [law for law in invariants if law.outcome is Outcome.PASS]
    table = _table("", "invariant", "against it", "examined", left=2)
    for law in [*(law for law in invariants if law.outcome is not Outcome.PASS), *(held if _few(held) else ())]:
        title = Text(words.clean(law.title))
        if law.outcome is not Outcome.PASS:
            title.append(f"\n{words.clean(law.reason)}", style="dim")
            for witness in law.witnesses[:_SHOWN_WITNESSES]:
                cells = " · ".join(f"{words.clean(key)} {words.value(cell)}" for key, cell in words.cells(witness.row))
                title.append(f"\n{words.clean(cells)}")
        table.add_row(_signed(law.outcome, Text("")), title, words.count(law.violations), words.count(law.examined))
    if held and not _few(held):
        least = f"at least {words.count(min(law.examined for law in held))}"
        table.add_row(_signed(Outcome.PASS, Text("")), Text(f"{len(held)} invariants hold"), "0", least)
    _section("the books", table, console)


def _few(held: Sequence[InvariantResult]) -> bool:
    return len(held) <= _SHOWN_INVARIANTS


def _validity(verdict: Verdict, console: Console) -> None:
    table = _table("", "", left=2)
    for seen in verdict.evidence:
        table.add_row(_signed(_met(seen.ok), Text("")), Text(_evidence(seen)))
    for check in verdict.validity:
        if not check.ok:
            text = f"{check.title}: {words.sentences(check.detail, check.remedy)}"
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
