"""The shop alone."""

from __future__ import annotations

import click

from crashcart.cli.top import cli, console_for, project_of


@cli.group()
def stack() -> None:
    """The shop alone, without an experiment."""


@stack.command("up")
@click.option("--design", default="reference", show_default=True)
@click.pass_context
def stack_up(ctx: click.Context, design: str) -> None:
    """Boot a design and leave it running."""
    from crashcart import wiring

    wiring.stack_up(project_of(ctx), design, console_for())


@stack.command("down")
@click.option("--design", default="reference", show_default=True)
def stack_down(design: str) -> None:
    """End what `stack up` started."""
    from crashcart import wiring

    wiring.stack_down(design, console_for())


@stack.command("status")
@click.option("--design", default="reference", show_default=True)
def stack_status(design: str) -> int:
    """What runs where, and whether it is ready."""
    from crashcart import wiring

    return wiring.stack_status(design, console_for())


@stack.command("logs")
@click.argument("instance", required=False)
@click.option("--design", default="reference", show_default=True)
@click.option("--follow", "-f", is_flag=True, help="Go on as lines come.")
def stack_logs(instance: str | None, design: str, follow: bool) -> None:
    """Logs of one instance (checkout[0]), or of all."""
    from crashcart import wiring

    wiring.stack_logs(design, instance, follow=follow)
