"""A project's Grafana dashboards and alerting rules."""

from __future__ import annotations

import click

from crashcart.cli.top import cli, project_of


@cli.group()
def dashboards() -> None:
    """Grafana dashboards and Prometheus rules, from the project's files."""


@dashboards.command("build")
@click.pass_context
def dashboards_build(ctx: click.Context) -> None:
    """Write the rules of the SLOs, and the dashboards where the project has some, into dashboards/."""
    from crashcart import wiring

    project = project_of(ctx)
    for path in wiring.build_dashboards(project):
        click.echo(f"  {project.shown(path)}")
