"""What a campaign came to, as one table: for the terminal, and as Markdown to be kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crashcart.reporting.mdtext import prose, table

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Report:
    """A table, what it comes to, and what must not be."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    says: tuple[str, ...]
    """What it comes to, a sentence each."""
    found: tuple[str, ...]
    """What must not be, a sentence each. Empty: nothing was found."""


def what_is_left_out(plants: bool, soak_min: int) -> str:
    """The last line of a selftest in which no part was named: what it says nothing of.

    `plants`: whether the project has planted defects.
    """
    defects = "planted defects (--defects)" if plants else "planted defects (there are none: see --defects)"
    return f"left out: {defects} and the soak (--soak {soak_min})"


def render(report: Report, console: Console) -> None:
    """In the terminal."""
    from rich.table import Table

    console.print(f"\n{report.title}", style="bold", markup=False)
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in report.head:
        shown.add_column(column)
    for row in report.rows:
        shown.add_row(*(cell.replace("[", "\\[") for cell in row))
    console.print(shown)
    for sentence in report.says:
        console.print(sentence, markup=False)
    for what in report.found:
        console.print(f"FOUND: {what}", style="bold red", markup=False)


def markdown(report: Report) -> str:
    """The same, to be kept."""
    lines = [
        f"# {prose(report.title)}",
        "",
        *table([prose(cell) for cell in report.head], ([prose(cell) for cell in row] for row in report.rows)),
        "",
        *(f"- {prose(sentence)}" for sentence in report.says),
        *(f"- **found**: {prose(what)}" for what in report.found),
    ]
    return "\n".join(lines) + "\n"
