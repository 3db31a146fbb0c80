"""The command line. Thin: each command opens a project, asks one part of the house, and prints what it says."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

import crashcart
from crashcart.model.errors import CrashcartError, ExitStatus, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from crashcart.loading import Project


class _Commands(click.Group):
    """Commands in the order in which one needs them, and the exit statuses below."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """As they stand in this file."""
        return list(self.commands)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit status: 0 pass · 1 fail · 2 usage or bad file · 3 inconclusive · 4 guardrail abort · "
    "5 something could not be undone · 70 an error of our own · 130 interrupted",
)
@click.version_option(crashcart.__version__, prog_name="crashcart")
@click.option(
    "--project",
    "project_path",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder with stack/, experiments/ and loadtests/.  [default: here]",
)
@click.pass_context
def cli(ctx: click.Context, project_path: Path) -> None:
    """Chaos engineering with a verdict: a shop under load, faults injected, SLOs and books judged."""
    ctx.obj = project_path


def main() -> None:
    """The console script. Every ending has an exit status that means one thing."""
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(ExitStatus.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitStatus.USAGE)
    except CrashcartError as error:
        click.echo(f"crashcart: {error}", err=True)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(ExitStatus.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitStatus.OURS)
    except Exception as error:  # noqa: BLE001 - the top of the process: whatever it is, say so in one line and keep the trace
        click.echo(f"crashcart: an error of our own: {error!r}\n  {_keep_trace()}", err=True)
        sys.exit(ExitStatus.OURS)
    sys.exit(status if isinstance(status, int) else ExitStatus.PASS)


def _keep_trace() -> str:
    from crashcart.tools import cache_dir

    path = cache_dir() / "last-error.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc(), encoding="utf-8")
    except OSError:
        return "its trace could not be written"
    return f"please report it with the trace in {path}"


def _project(ctx: click.Context) -> Project:
    from crashcart.loading import open_project

    return open_project(ctx.obj)


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    class Ours(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # not SystemExit(1): that would say that something failed its objective

    return Ours(stderr=stderr, highlight=False)


_EXPERIMENT_OPTIONS: tuple[Callable[[Callable[..., object]], Callable[..., object]], ...] = (
    click.argument("experiment"),
    click.option("--seed", type=click.IntRange(0), help="Another seed for load and schedules."),
    click.option("--design", help="Another design than the experiment names."),
    click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Another value: load.peak_per_s=20."),
)


def _experiment_options(command: Callable[..., object]) -> Callable[..., object]:
    for option in reversed(_EXPERIMENT_OPTIONS):
        command = option(command)
    return command


def _all_overrides(seed: int | None, design: str | None, overrides: tuple[str, ...]) -> tuple[str, ...]:
    own = [f"load.seed={seed}"] if seed is not None else []
    own += [f'design="{design}"'] if design is not None else []
    return (*overrides, *own)


@cli.command("list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """The project's experiments."""
    from rich.table import Table

    project = _project(ctx)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("experiment", "what happens", "takes", "tags"):
        table.add_column(column)
    for path in project.experiment_paths():
        experiment = project.experiment(str(path)).experiment
        line = experiment.timeline
        takes_s = line.warmup + line.baseline + line.fault + line.recovery
        meta = experiment.metadata
        table.add_row(meta.name, meta.title, f"{takes_s:g} s", ", ".join(meta.tags))
    _console().print(table)


@cli.command()
@_experiment_options
@click.option("--json", "as_json", is_flag=True, help="The plan as it will be recorded.")
@click.pass_context
def plan(
    ctx: click.Context, experiment: str, seed: int | None, design: str | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """What a run would do, to whom, for how long. Touches nothing."""
    from crashcart import wiring
    from crashcart.reporting.plantext import render_plan

    made = wiring.make_plan(_project(ctx), experiment, _all_overrides(seed, design, overrides))
    if as_json:
        click.echo(wiring.plan_json(made))
    else:
        render_plan(made, _console())


@cli.command()
@_experiment_options
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

    project = _project(ctx)
    made = wiring.make_plan(project, experiment, _all_overrides(seed, design, overrides))
    return wiring.run_and_judge(project, made, out or project.runs_dir, _console())


@cli.command()
@click.argument("recording", type=click.Path(path_type=Path), default=Path("runs/latest"))
def judge(recording: Path) -> int:
    """Judge a recording again: the same files give the same verdict, byte for byte."""
    from crashcart import wiring

    return wiring.judge_again(recording, _console())


@cli.command()
@click.argument("recording", type=click.Path(path_type=Path), default=Path("runs/latest"))
def report(recording: Path) -> None:
    """Write a recording's reports again from its files."""
    from crashcart import wiring

    click.echo(wiring.report_again(recording))


@cli.command()
def abort() -> None:
    """Ask the run that is under way to undo, report and end. From any terminal."""
    from crashcart.safety.active import active_runs, request_abort

    runs = active_runs()
    if not runs:
        raise UsageError("no run is under way")
    for run_ in runs:
        request_abort(run_.run_id)
        click.echo(f"asked {run_.run_id} to end")


@cli.command()
def recover() -> int:
    """Undo and stop whatever a run left behind when it, and its watchdog, were killed."""
    from crashcart.safety.recover import recover as do_recover

    return int(do_recover(click.echo).exit_status)


@cli.group()
def stack() -> None:
    """The shop alone, without an experiment."""


@stack.command("up")
@click.option("--design", default="reference", show_default=True)
@click.pass_context
def stack_up(ctx: click.Context, design: str) -> None:
    """Boot a design and leave it running."""
    from crashcart import wiring

    wiring.stack_up(_project(ctx), design, _console())


@stack.command("down")
@click.option("--design", default="reference", show_default=True)
def stack_down(design: str) -> None:
    """End what `stack up` started."""
    from crashcart import wiring

    wiring.stack_down(design, _console())


@stack.command("status")
@click.option("--design", default="reference", show_default=True)
def stack_status(design: str) -> int:
    """What runs where, and whether it is ready."""
    from crashcart import wiring

    return wiring.stack_status(design, _console())


@stack.command("logs")
@click.argument("instance", required=False)
@click.option("--design", default="reference", show_default=True)
@click.option("--follow", "-f", is_flag=True, help="Go on as lines come.")
def stack_logs(instance: str | None, design: str, follow: bool) -> None:
    """Logs of one instance (checkout[0]), or of all."""
    from crashcart import wiring

    wiring.stack_logs(design, instance, follow=follow)


@cli.command()
def schema() -> None:
    """The JSON Schema of an experiment, for your editor."""
    from crashcart.faults import registry
    from crashcart.schema import schema_text

    click.echo(schema_text(registry()), nl=False)


@cli.command()
def setup() -> None:
    """Find or make the programs a run needs: Postgres, Valkey, Toxiproxy, Prometheus."""
    from crashcart.tools import setup as do_setup

    toolbox = do_setup(click.echo)
    for tool in (toolbox.postgres, toolbox.valkey, toolbox.toxiproxy, toolbox.prometheus):
        click.echo(f"{tool.name:<11} {tool.version:<12} {tool.origin}")


@cli.command()
def doctor() -> int:
    """Whether this machine can run experiments, and what to do where it can't."""
    from crashcart.tools import doctor as examine

    findings = examine()
    for finding in findings:
        click.echo(f"{'ok ' if finding.ok else 'NO '} {finding.name:<28} {finding.detail}")
        if finding.remedy and not finding.ok:
            click.echo(f"    → {finding.remedy}")
    return int(ExitStatus.PASS if all(finding.ok for finding in findings) else ExitStatus.USAGE)
