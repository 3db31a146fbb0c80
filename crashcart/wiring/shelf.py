"""What is done with what is kept: listing, showing, comparing, pruning."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from crashcart.model.errors import BadFile, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from crashcart.shelf.suite import Suite


def list_runs(runs_dir: Path, experiment: str, limit: int, console: Console, *, as_json: bool) -> None:
    """The newest recordings, newest first."""
    from crashcart.shelf.kept import read_kept
    from crashcart.shelf.listing import render_kept

    kept = read_kept(runs_dir, experiment, limit)
    if as_json:
        _print_json(kept, console)
    elif kept:
        render_kept(kept, console)
    else:
        console.print(f"there are no recordings below {runs_dir} yet", markup=False)


def list_suites(runs_dir: Path, console: Console) -> None:
    """All suites, newest first."""
    from crashcart.shelf.keeping import read_suite
    from crashcart.shelf.listing import render_suites
    from crashcart.shelf.nights import suite_dirs

    rows: list[tuple[Path, Suite | None]] = []
    for path in suite_dirs(runs_dir):
        try:
            rows.append((path, read_suite(path)))
        except BadFile:
            rows.append((path, None))
    if rows:
        render_suites(rows, console)
    else:
        console.print(f"there are no suites below {runs_dir} yet", markup=False)


def show_run(runs_dir: Path, wanted: str, console: Console) -> None:
    """The verdict again, and where the files are."""
    from crashcart.reporting.terminal import render_verdict
    from crashcart.shelf.kept import find
    from crashcart.shelf.pairs import verdict_of

    recording = find(runs_dir, wanted)
    render_verdict(verdict_of(recording), console, report=recording / "report.html")
    for path in sorted(recording.iterdir()):
        console.print(f"  {path}{'/' if path.is_dir() else ''}", markup=False, soft_wrap=True)


def diff_runs(runs_dir: Path, before: str, after: str, console: Console, *, as_json: bool) -> None:
    """What changed from one recording to the other."""
    from crashcart.shelf.kept import PREVIOUS, find
    from crashcart.shelf.listing import render_run_diff
    from crashcart.shelf.pairs import compare_runs

    if before == PREVIOUS:
        second = find(runs_dir, after)
        first = find(runs_dir, before, before=second)
    else:
        first = find(runs_dir, before)
        second = find(runs_dir, after, before=first)
    diff = compare_runs(first, second)
    if as_json:
        _print_json(diff, console)
    else:
        render_run_diff(diff, console)


def diff_suites(runs_dir: Path, before: str, after: str, console: Console, *, as_json: bool) -> None:
    """What changed from one suite to the other; `last-night`: from the one before to the newest."""
    from crashcart.shelf.listing import render_suite_diff
    from crashcart.shelf.nights import compare_suites, find_suite, last_two

    first: Path | None
    if before == "last-night":
        first, second = last_two(runs_dir)
    else:
        first, second = find_suite(runs_dir, before), find_suite(runs_dir, after)
    if first is None:
        text = f"{second.name} is the only suite: there is something to compare when it has run once more"
        console.print(text, markup=False, soft_wrap=True)
        return
    diff = compare_suites(runs_dir, first, second)
    if as_json:
        _print_json(diff, console)
    else:
        render_suite_diff(diff, console)


def prune_runs(
    runs_dir: Path,
    keep: int | None,
    older_than: str | None,
    console: Console,
    *,
    dry_run: bool,
    agreed: Callable[[str], bool],
) -> None:
    """Remove recordings that are no longer needed; `agreed` is asked before."""
    from crashcart.shelf.listing import render_prune, size
    from crashcart.shelf.pruning import Rule, parse_age_s, plan_prune, prune

    if keep is None and older_than is None:
        raise UsageError("which recordings may go?", remedy="say --keep 20 (of each experiment), or --older-than 14d")
    rule = Rule(keep, None if older_than is None else parse_age_s(older_than))
    plan = plan_prune(runs_dir, rule, datetime.now(UTC))
    render_prune(plan, console)
    question = f"remove {len(plan.going)} folders, {size(plan.bytes)}?"
    if not plan.going:
        console.print("nothing to remove")
    elif dry_run:
        console.print(f"{len(plan.going)} folders would go, {size(plan.bytes)}", markup=False)
    elif agreed(question):
        console.print(f"{size(prune(plan))} freed", markup=False)
    else:
        console.print("nothing was removed")


def _print_json(thing: object, console: Console) -> None:
    text = msgspec.json.format(msgspec.json.encode(thing, enc_hook=str), indent=1).decode()
    console.print(text, markup=False, soft_wrap=True)
