"""Text that a shop, a file or a recording brings is shown in a terminal, and never obeyed by it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from crashcart.cli.top import console_for
from crashcart.model.errors import ExitStatus
from crashcart.model.topology import Instance, Topology
from crashcart.reporting.words import visible
from crashcart.runtimes import standing
from crashcart.wiring.stacks import stack_logs

ROOT = Path(__file__).parents[3]
HOSTILE = "\x1b]0;owned\x07\x1b[2K\x1b[1A\x9b31m\u202egnp.exe\x08\x00"
"""Renames the window, wipes the line above, turns text round, goes back a letter."""
OBEYED = ("\x1b", "\x07", "\x9b", "\u202e", "\x08", "\x00")


@pytest.mark.parametrize(
    "thing", [HOSTILE, Text(HOSTILE), Text(HOSTILE, style="bold"), Padding(Text(HOSTILE), (0, 2))], ids=str
)
def test_whatever_is_printed_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str], thing: object) -> None:
    console_for().print(thing, markup=False, soft_wrap=True)
    said = capsys.readouterr().out
    assert "owned" in said
    assert "gnp.exe" in said
    assert not [char for char in OBEYED if char in said]


def test_cells_and_headings_of_tables_are_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(HOSTILE)
    table.add_row(Text(HOSTILE))
    table.add_row(Padding(Text(f"{HOSTILE}\nsecond"), (0, 1)))
    console_for().print(table)
    said = capsys.readouterr().out
    assert said.count("owned") == 3
    assert "second" in said
    assert not [char for char in OBEYED if char in said]


def test_our_own_colours_and_tables_that_are_redrawn_still_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    console = console_for()
    with Live(Text("one"), console=console, auto_refresh=False) as live:
        live.update(Text(f"{HOSTILE}two", style="red"), refresh=True)
    said = capsys.readouterr().out
    assert "\x1b[31m" in said  # red, which is ours
    assert "\x1b[2K" in said  # the line before is wiped, which is ours, too
    assert "\x1b]0;" not in said
    assert not [char for char in OBEYED[1:] if char in said]


def test_lines_and_tabs_are_kept() -> None:
    assert visible("a\tb\n  c\r\nd\x0be") == "a\tb\n  c\ufffd\nd\ufffde"


def test_an_error_that_repeats_what_it_was_given_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "crashcart", "--project", str(tmp_path / "\x1b]0;owned\x07"), "list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ExitStatus.USAGE
    assert "]0;owned" in done.stderr
    assert not [char for char in OBEYED if char in done.stderr]


@pytest.mark.parametrize("instance", [None, "door[0]"])
def test_the_log_of_a_service_is_shown_and_not_obeyed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, instance: str | None
) -> None:
    door = Instance("door[0]", "door", "process", "127.0.0.1:9", None, "", "", "")
    topology = Topology("run", str(tmp_path), str(tmp_path), (door,), (), "", "")
    monkeypatch.setattr(standing, "find", lambda _design: topology)
    monkeypatch.setattr(standing, "logs", lambda *_arguments, **_named: iter([HOSTILE]))
    stack_logs("reference", instance, follow=False)
    said = capsys.readouterr().out
    assert "owned" in said
    assert not [char for char in OBEYED if char in said]
