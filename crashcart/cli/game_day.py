"""What is said to a run that is under way, or after one that did not end well."""

from __future__ import annotations

import click

from crashcart.cli.top import cli
from crashcart.model.errors import UsageError


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
