"""What containers are started from."""

from __future__ import annotations

import click

from crashcart.cli.top import cli, console_for, project_of


@cli.group()
def images() -> None:
    """The images that containers are started from."""


@images.command("build")
@click.option("--no-cache", is_flag=True, help="Take up no layer of an earlier build.")
@click.pass_context
def images_build(ctx: click.Context, no_cache: bool) -> None:
    """Build the one image of the shop's own services, where it is not there yet."""
    from crashcart import wiring

    wiring.images_build(project_of(ctx), console_for(), no_cache=no_cache)


@images.command("list")
@click.pass_context
def images_list(ctx: click.Context) -> None:
    """Which image each part is, and whether this engine has it."""
    from crashcart import wiring

    wiring.images_list(project_of(ctx), console_for())
