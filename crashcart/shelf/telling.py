"""A suite in the terminal: one line an experiment, and what it all comes to."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crashcart.model.verdict import Outcome
from crashcart.reporting import words
from crashcart.shelf.suite import Attempt, Entry, Suite

STYLES = {Outcome.PASS: "green", Outcome.FAIL: "bold red", Outcome.INCONCLUSIVE: "bold yellow", None: "dim"}
OVERHEAD_AIM_S = 15.0


def render_suite(suite: Suite, folder: Path, runs_dir: Path, console: Console) -> None:
    """The table; then where the reports are; then one line for someone who reads nothing else."""
    console.print()
    table = plain_table("experiment", "verdict", "worst", "recovery", "lost", "took")
    table.columns[2].ratio = 1
    for entry in suite.entries:
        table.add_row(*_cells(entry))
    console.print(table)
    console.print()
    for entry in suite.entries:
        if entry.last is not None and entry.last.recording and entry.outcome is not Outcome.PASS:
            console.print(Text(f"{runs_dir / entry.last.recording / 'report.html'}"), soft_wrap=True)
    console.print(Text(overhead_line(suite)), soft_wrap=True)
    console.print(Text(ending(suite), style="bold"), soft_wrap=True)
    console.print(Text(f"exit status {suite.exit_status} · summary {folder / 'summary.md'}"), soft_wrap=True)


def plain_table(*headings: str, right: tuple[int, ...] = ()) -> Table:
    """Columns apart by spaces."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for position, heading in enumerate(headings):
        table.add_column(heading, justify="right" if position in right else "left", overflow="fold")
    return table


def ending(suite: Suite) -> str:
    """`14 pass, 1 fail, 1 inconclusive`, and why it ended where it did not come to its end."""
    counts = {outcome: sum(entry.outcome is outcome for entry in suite.entries) for outcome in Outcome}
    told = [f"{n} {outcome.value}" for outcome, n in counts.items() if n]
    missing = sum(entry.last is None for entry in suite.entries)
    told += [f"{missing} not run"] if missing else []
    why = {
        "completed": "",
        "under way": ", still under way or cut short",
        "interrupted": ", interrupted",
        "fail-fast": ", ended at the first that did not pass",
        "broken": ", broken off",
    }
    return ", ".join(told) + why.get(suite.ended, f", {suite.ended}")


def overhead_line(suite: Suite) -> str:
    """What the runs took beside their timelines."""
    found = suite.overheads_s
    if not found:
        return f"took {words.seconds(suite.took_s)}"
    mean_s, most_s = sum(found) / len(found), max(found)
    return (
        f"took {words.seconds(suite.took_s)}; beside the timelines {words.seconds(mean_s)} an experiment, "
        f"at most {words.seconds(most_s)}"
    )


def recovered(attempt: Attempt | None) -> str:
    """Seconds until it was well again."""
    return words.seconds(attempt.recovered_after_s if attempt else None)


def lost(attempt: Attempt | None) -> str:
    """Purchases."""
    return words.count(attempt.purchases_lost if attempt else None)


def took(entry: Entry) -> str:
    """All attempts together."""
    return words.seconds(sum(one.took_s for one in entry.attempts)) if entry.attempts else words.NONE


def _cells(entry: Entry) -> tuple[Text, ...]:
    last = entry.last
    return (
        Text(words.clean(entry.experiment)),
        Text(entry.course, style=STYLES[entry.outcome]),
        Text(words.clean(last.worst, longest=160) if last else ""),
        Text(recovered(last)),
        Text(lost(last)),
        Text(took(entry)),
    )
