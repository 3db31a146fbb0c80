"""The shop alone."""

from __future__ import annotations

import click

from crashcart.cli.experiments import RUNTIME, with_options
from crashcart.cli.top import cli, console_for, project_of
from crashcart.model.errors import UsageError

USUAL = "reference"
_design = click.option("--design", help=f"[default: the project's only one, else {USUAL}]")


@cli.group()
def stack() -> None:
    """The shop alone, without an experiment."""


@stack.command("up")
@_design
@with_options(RUNTIME)
@click.pass_context
def stack_up(ctx: click.Context, design: str | None, runtime: str | None) -> None:
    """Boot a design and leave it running."""
    from crashcart import wiring

    wiring.stack_up(project_of(ctx), _named(ctx, design), console_for(), runtime)


@stack.command("down")
@_design
@click.pass_context
def stack_down(ctx: click.Context, design: str | None) -> None:
    """End what `stack up` started."""
    from crashcart import wiring

    wiring.stack_down(_named(ctx, design), console_for())


@stack.command("status")
@_design
@click.pass_context
def stack_status(ctx: click.Context, design: str | None) -> int:
    """What runs where, and whether it is ready."""
    from crashcart import wiring

    return wiring.stack_status(_named(ctx, design), console_for())


@stack.command("logs")
@click.argument("instance", required=False)
@_design
@click.option("--follow", "-f", is_flag=True, help="Go on as lines come.")
@click.pass_context
def stack_logs(ctx: click.Context, instance: str | None, design: str | None, follow: bool) -> None:
    """Logs of one instance (checkout[0]), or of all."""
    from crashcart import wiring

    wiring.stack_logs(_named(ctx, design), instance, follow=follow)


def _named(ctx: click.Context, design: str | None) -> str:
    """That design; without a word, the one there is to mean."""
    from crashcart.loading import is_project

    names = project_of(ctx).design_names() if design is None and is_project(ctx.obj) else ()
    if design is None and names and USUAL not in names:
        if len(names) > 1:
            raise UsageError("which design is meant?", remedy=f"say --design with one of: {', '.join(names)}")
        return names[0]
    return design or USUAL
