from __future__ import annotations

from io import StringIO

from rich.console import Console

from crashcart.selftest.telling import Report, markdown, render

REPORT = Report("Tried", ("target", "runs"), (("load[0]", "3"),), ("3 runs.",), ("a pass | of nothing",))


def test_the_table_and_what_was_found_are_shown() -> None:
    screen = StringIO()
    render(REPORT, Console(file=screen, width=100))
    shown = screen.getvalue()
    assert "load[0]" in shown
    assert "FOUND: a pass | of nothing" in shown


def test_markdown_has_the_same_table_and_obeys_nothing_in_it() -> None:
    text = markdown(REPORT)
    assert r"| load\[0\] | 3 |" in text
    assert r"- **found**: a pass \| of nothing" in text
