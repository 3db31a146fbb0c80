"""What is done with recordings: judging and reporting."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from crashcart.model.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from crashcart.model.verdict import Verdict


def judge_again(recording: Path, console: Console) -> int:
    """The verdict of a recording, written anew."""
    _check_recording(recording)
    verdict = judge_recording(recording)
    show_verdict(recording, verdict, console)
    return verdict.exit_status


def report_again(recording: Path) -> Path:
    """The reports of a recording, written anew; where the page is."""
    from crashcart.reporting import unwritten

    _check_recording(recording)
    if missing := unwritten(recording, judge_recording(recording)):
        remedy = "make room, or choose a folder that can be written"
        raise UsageError(f"cannot write {', '.join(missing)}", where=str(recording), remedy=remedy)
    return recording / "report.html"


def _check_recording(recording: Path) -> None:
    from crashcart.recorder import verify

    if not (recording / "plan.json").is_file():
        raise UsageError(f"{recording} is not a recording", remedy="name a folder below runs/ that has a plan.json")
    verify(recording)


def judge_recording(recording: Path) -> Verdict:
    """Judge, and write verdict and reports."""
    from crashcart.judging import judge
    from crashcart.reporting import write_all

    verdict = judge(recording)
    write_all(recording, verdict)
    return verdict


def show_verdict(recording: Path, verdict: Verdict, console: Console) -> None:
    """The verdict in the terminal."""
    from crashcart.reporting import unwritten
    from crashcart.reporting.terminal import render_verdict

    missing = unwritten(recording, verdict)
    render_verdict(verdict, console, report=recording / "report.html", unwritten=missing)


def show_line(_recording: Path, verdict: Verdict, console: Console) -> None:
    """The verdict in one line."""
    from crashcart.reporting import words

    said = words.headline(words.clean(verdict.headline), verdict.outcome)
    console.print(f"{verdict.outcome.value.upper()}  {said}\n", markup=False, soft_wrap=True)
