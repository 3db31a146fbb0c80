"""What a machine and an editor need."""

from __future__ import annotations

import click

from crashcart.cli.top import cli, project_of
from crashcart.model.errors import ExitStatus


@cli.command()
@click.pass_context
def schema(ctx: click.Context) -> None:
    """The JSON Schema of an experiment, for your editor; within a project with the project's own faults."""
    from crashcart.faults import registry
    from crashcart.loading import is_project
    from crashcart.schema import schema_text

    named = project_of(ctx).fault_kinds if is_project(ctx.obj) else {}
    click.echo(schema_text(registry(), named), nl=False)


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
