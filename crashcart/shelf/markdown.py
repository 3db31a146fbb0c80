"""`summary.md`: a suite for people who read it in a pipeline's page."""

from __future__ import annotations

from crashcart.reporting import words
from crashcart.shelf.suite import Entry, Suite
from crashcart.shelf.telling import ending, lost, overhead_line, recovered, took


def suite_markdown(suite: Suite) -> str:
    """The same table as in the terminal, with links to the reports."""
    lines = [
        f"# {suite.suite_id}: {ending(suite)}",
        "",
        f"{_escaped(suite.chosen_by)} · {suite.commit or 'no commit'} · exit status {suite.exit_status}",
        "",
        "| experiment | verdict | worst | recovery | lost | took |",
        "|---|---|---|---|---|---|",
        *(_row(entry) for entry in suite.entries),
        "",
        overhead_line(suite),
    ]
    return "\n".join(lines) + "\n"


def _row(entry: Entry) -> str:
    last = entry.last
    name = _escaped(entry.experiment)
    if last is not None and last.recording:
        name = f"[{name}](../../{last.recording}/report.html)"
    worst = _escaped(last.worst) if last else ""
    cells = (name, entry.course, worst, recovered(last), lost(last), took(entry))
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """Text that may be the shop's: no table, link or tag is made of it."""
    shown = words.clean(text)
    for char in "\\`*_[]|":
        shown = shown.replace(char, f"\\{char}")
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
