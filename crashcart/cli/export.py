"""A design, handed to others."""

from __future__ import annotations

from pathlib import Path

import click

from crashcart.cli.top import cli, project_of


@cli.group()
def export() -> None:
    """The shop with all that belongs to it, for somebody else to start."""


@export.command("compose")
@click.option("--design", "design_name", metavar="NAME", default="reference", show_default=True, help="Which design.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The Compose file; all that it needs is written beside it.  [default: compose/compose.yaml of the project]",
)
@click.pass_context
def export_compose(ctx: click.Context, design_name: str, out: Path | None) -> None:
    """Write a Compose file of a design: shop, databases, Toxiproxy, Prometheus, Grafana and the load."""
    from crashcart import wiring

    project = project_of(ctx)
    written = wiring.export_compose(project, design_name, out)
    shown = project.shown(written)
    click.echo(f"  {shown}\n\nStart it in {project.shown(written.parent)}: docker compose up")
