"""List, plan, run, judge, report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from crashcart.cli.top import cli, console_for, project_of

_Decorator = Callable[[Callable[..., object]], Callable[..., object]]

_CHANGES: tuple[_Decorator, ...] = (
    click.option("--seed", type=click.IntRange(0), help="Another seed for load and schedules."),
    click.option("--design", help="Another design than the experiment names."),
    click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Another value: load.peak_per_s=20."),
)
_TAG = click.option(
    "--tag", "tags", multiple=True, metavar="TAG[,TAG]", help="Those with the tag (or the other). Again: and with it."
)
_NOT_TAG = click.option("--not-tag", "not_tags", multiple=True, metavar="TAG", help="But none with this tag.")


RUNTIME = click.option(
    "--runtime",
    type=click.Choice(["local", "docker"]),
    help="Processes of this machine, or containers.  [default: $CRASHCART_RUNTIME, else local]",
)


def with_options(*options: _Decorator) -> _Decorator:
    """A command with all of these, in this order."""

    def decorate(command: Callable[..., object]) -> Callable[..., object]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def all_overrides(seed: int | None, design: str | None, overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Every override as `path=value`."""
    own = [f"load.seed={seed}"] if seed is not None else []
    own += [f'design="{design}"'] if design is not None else []
    return (*overrides, *own)


@cli.command("list")
@with_options(_TAG, _NOT_TAG)
@click.pass_context
def list_(ctx: click.Context, tags: tuple[str, ...], not_tags: tuple[str, ...]) -> None:
    """The project's experiments; with a tag, those that `run` would choose."""
    from rich.table import Table
    from rich.text import Text

    from crashcart import wiring

    project = project_of(ctx)
    asked = tags or not_tags
    paths = wiring.choose(project, (), wiring.parse_tags(tags, not_tags)).paths if asked else project.experiment_paths()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("experiment", "what happens", "takes", "tags"):
        table.add_column(column)
    for path in paths:
        experiment = project.experiment(str(path)).experiment
        line = experiment.timeline
        takes_s = line.warmup + line.baseline + line.fault + line.recovery
        meta = experiment.metadata
        cells = (meta.name, meta.title, f"{takes_s:g} s", ", ".join(meta.tags))
        table.add_row(*map(Text, cells))
    console_for().print(table)


@cli.command()
@click.argument("experiment")
@with_options(*_CHANGES, RUNTIME)
@click.option("--json", "as_json", is_flag=True, help="The plan as it will be recorded.")
@click.pass_context
def plan(
    ctx: click.Context, /, experiment: str, seed: int | None, design: str | None, overrides: tuple[str, ...], **how: Any
) -> None:
    """What a run would do, to whom, for how long. Touches nothing."""
    from crashcart import wiring
    from crashcart.reporting.plantext import render_plan

    made = wiring.make_plan(project_of(ctx), experiment, all_overrides(seed, design, overrides), how["runtime"])
    if how["as_json"]:
        click.echo(wiring.plan_json(made))
    else:
        console, project = console_for(), project_of(ctx)
        render_plan(made, console, wiring.capacity_of(project, made, console))


_RUN_OPTIONS: tuple[_Decorator, ...] = (
    click.argument("experiments", nargs=-1, metavar="[EXPERIMENT|FOLDER]..."),
    _TAG,
    _NOT_TAG,
    *_CHANGES,
    RUNTIME,
    click.option(
        "--rerun-inconclusive",
        type=click.IntRange(0, 5),
        default=0,
        metavar="N",
        help="Run again what came to nothing, at most so often. What counts is the last.",
    ),
    click.option("-y", "--yes", is_flag=True, help="Don't ask before anything is broken."),
    click.option(
        "--hold",
        type=click.Choice(["baseline", "fault", "recovery"]),
        help="That phase goes on until Enter, or `crashcart next`. At a terminal, one experiment.",
    ),
    click.option("--hold-at-most", default="30m", metavar="DURATION", help="And no longer.  [default: 30m]"),
    click.option("--fail-fast", is_flag=True, help="End at the first that does not pass."),
    click.option("--junit", type=click.Path(path_type=Path), help="One JUnit file for all, there too."),
    click.option(
        "--out", type=click.Path(path_type=Path), help="Folder for recordings.  [default: runs/ of the project]"
    ),
)


@cli.command()
@with_options(*_RUN_OPTIONS)
@click.pass_context
def run(ctx: click.Context, /, seed: int | None, design: str | None, overrides: tuple[str, ...], **asked: Any) -> int:
    """Boot the shop, run the experiment, judge it, and put everything back. Several: one after the other.

    Experiments are named, or are those of a folder or with a tag. All are planned before the first starts.
    """
    from crashcart import wiring

    request = wiring.RunRequest(overrides=all_overrides(seed, design, overrides), **asked)
    return wiring.run_suite(project_of(ctx), request, console_for())


@cli.command()
@click.argument("recording", type=click.Path(path_type=Path), default=Path("runs/latest"))
def judge(recording: Path) -> int:
    """Judge a recording again: the same files give the same verdict, byte for byte."""
    from crashcart import wiring

    return wiring.judge_again(recording, console_for())


@cli.command()
@click.argument("recording", type=click.Path(path_type=Path), default=Path("runs/latest"))
def report(recording: Path) -> None:
    """Write a recording's reports again from its files."""
    from crashcart import wiring

    click.echo(wiring.report_again(recording))
