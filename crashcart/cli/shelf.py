"""What is kept of runs: list, show, compare, prune."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from crashcart.cli.top import cli, console_for, project_of

_OUT = click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of recordings.  [default: runs/ of the project]"
)
_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")


def _runs_dir(ctx: click.Context, out: Path | None) -> Path:
    return out or project_of(ctx).runs_dir


@cli.group(invoke_without_command=True)
@_OUT
@_JSON
@click.option("--experiment", default="", help="Only of this one.")
@click.option("--limit", type=click.IntRange(1), default=30, show_default=True, help="The newest so many.")
@click.pass_context
def runs(ctx: click.Context, out: Path | None, experiment: str, limit: int, *, as_json: bool) -> None:
    """Recordings, newest first; `show`, `diff` and `prune` them."""
    from crashcart import wiring

    folder = _runs_dir(ctx, out)
    ctx.obj = folder
    if ctx.invoked_subcommand is None:
        wiring.list_runs(folder, experiment, limit, console_for(), as_json=as_json)


@runs.command("show")
@click.argument("recording", default="latest")
@click.pass_obj
def runs_show(folder: Path, recording: str) -> None:
    """The verdict again, and where its files are. RECORDING: an id or its beginning, an experiment, latest, a path."""
    from crashcart import wiring

    wiring.show_run(folder, recording, console_for())


@runs.command("diff")
@click.argument("before", default="previous")
@click.argument("after", default="latest")
@_JSON
@click.pass_obj
def runs_diff(folder: Path, before: str, after: str, *, as_json: bool) -> None:
    """What changed from one recording to the other, beyond noise. By default from the previous to the latest."""
    from crashcart import wiring

    wiring.diff_runs(folder, before, after, console_for(), as_json=as_json)


@runs.command("suites")
@click.pass_obj
def runs_suites(folder: Path) -> None:
    """Suites, newest first."""
    from crashcart import wiring

    wiring.list_suites(folder, console_for())


@runs.command("prune")
@click.option("--keep", type=click.IntRange(1), help="The newest so many of each experiment stay.")
@click.option("--older-than", metavar="AGE", help="What is younger stays: 14d, 36h. With --keep: both are to allow it.")
@click.option("--dry-run", is_flag=True, help="Say what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def runs_prune(folder: Path, keep: int | None, older_than: str | None, *, dry_run: bool, yes: bool) -> None:
    """Remove old recordings. Never the latest of an experiment, nor one whose faults may still be open."""
    from crashcart import wiring

    def agreed(question: str) -> bool:
        return yes or not sys.stdin.isatty() or click.confirm(question)

    wiring.prune_runs(folder, keep, older_than, console_for(), dry_run=dry_run, agreed=agreed)


@cli.command("diff")
@click.argument("before", default="last-night", metavar="[last-night|SUITE]")
@click.argument("after", default="latest", metavar="[SUITE]")
@_OUT
@_JSON
@click.pass_context
def diff(ctx: click.Context, before: str, after: str, out: Path | None, *, as_json: bool) -> None:
    """What changed from one suite to the other: last-night compares the newest with the one before.

    The verdict is `run`'s business: this ends with 0 when there was something to say.
    """
    from crashcart import wiring

    wiring.diff_suites(_runs_dir(ctx, out), before, after, console_for(), as_json=as_json)
