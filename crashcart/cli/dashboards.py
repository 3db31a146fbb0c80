"""A project's Grafana dashboards and alerting rules."""

from __future__ import annotations

from pathlib import Path

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


@dashboards.command("push")
@click.option("--grafana", "grafana_url", metavar="URL", required=True, help="Where Grafana is.")
@click.option("--prometheus", "prometheus_url", metavar="URL", required=True, help="Prometheus, as Grafana reaches it.")
@click.option("--run", "runs", metavar="RECORDING", multiple=True, help="Annotate this run; several, if said again.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of recordings.  [default: runs/ of the project]")
@click.pass_context
def dashboards_push(
    ctx: click.Context, grafana_url: str, prometheus_url: str, runs: tuple[str, ...], out: Path | None
) -> None:
    """Put the dashboards, their data source and annotations of runs into a live Grafana.

    Its token is taken from GRAFANA_TOKEN. RECORDING: an id or its beginning, an experiment, latest, a path.
    """
    from crashcart import wiring
    from crashcart.shelf.kept import find

    project = project_of(ctx)
    recordings = [find(out or project.runs_dir, wanted) for wanted in runs]
    wiring.push_dashboards(project, grafana_url, prometheus_url, recordings, click.echo)
