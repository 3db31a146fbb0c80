"""List, plan, run, judge, report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from crashcart.cli.top import cli, console_for, project_of

_EXPERIMENT_OPTIONS: tuple[Callable[[Callable[..., object]], Callable[..., object]], ...] = (
    click.argument("experiment"),
    click.option("--seed", type=click.IntRange(0), help="Another seed for load and schedules."),
    click.option("--design", help="Another design than the experiment names."),
    click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Another value: load.peak_per_s=20."),
)


def experiment_options(command: Callable[..., object]) -> Callable[..., object]:
    """Which experiment, and what is to be different this time."""
    for option in reversed(_EXPERIMENT_OPTIONS):
        command = option(command)
    return command


def all_overrides(seed: int | None, design: str | None, overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Every override as `path=value`."""
    own = [f"load.seed={seed}"] if seed is not None else []
    own += [f'design="{design}"'] if design is not None else []
    return (*overrides, *own)


@cli.command("list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """The project's experiments."""
    from rich.table import Table

    project = project_of(ctx)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("experiment", "what happens", "takes", "tags"):
        table.add_column(column)
    for path in project.experiment_paths():
        experiment = project.experiment(str(path)).experiment
        line = experiment.timeline
        takes_s = line.warmup + line.baseline + line.fault + line.recovery
        meta = experiment.metadata
        table.add_row(meta.name, meta.title, f"{takes_s:g} s", ", ".join(meta.tags))
    console_for().print(table)


@cli.command()
@experiment_options
@click.option("--json", "as_json", is_flag=True, help="The plan as it will be recorded.")
@click.pass_context
def plan(
    ctx: click.Context, experiment: str, seed: int | None, design: str | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """What a run would do, to whom, for how long. Touches nothing."""
    from crashcart import wiring
    from crashcart.reporting.plantext import render_plan

    made = wiring.make_plan(project_of(ctx), experiment, all_overrides(seed, design, overrides))
    if as_json:
        click.echo(wiring.plan_json(made))
    else:
        render_plan(made, console_for())


@cli.command()
@experiment_options
@click.option("--out", type=click.Path(path_type=Path), help="Folder for recordings.  [default: runs/ of the project]")
@click.pass_context
def run(
    ctx: click.Context,
    experiment: str,
    seed: int | None,
    design: str | None,
    overrides: tuple[str, ...],
    out: Path | None,
) -> int:
    """Boot the shop, run the experiment, judge it, and put everything back."""
    from crashcart import wiring

    project = project_of(ctx)
    made = wiring.make_plan(project, experiment, all_overrides(seed, design, overrides))
    return wiring.run_and_judge(project, made, out or project.runs_dir, console_for())


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
