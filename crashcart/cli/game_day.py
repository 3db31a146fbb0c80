"""What is said to a run that is under way, or after one that did not end well."""

from __future__ import annotations

import click

from crashcart.cli.top import cli


@cli.command()
def abort() -> None:
    """Ask the run that is under way to undo, report and end. From any terminal; twice, as Ctrl-C twice."""
    from crashcart.safety.active import request_abort
    from crashcart.safety.operator import runs_under_way

    for run in runs_under_way():
        request_abort(run.run_id)
        click.echo(f"asked {run.run_id} to end")


@cli.command()
@click.argument("text")
def mark(text: str) -> None:
    """Put a mark on the timeline of the run that is under way: crashcart mark "mitigated". From any terminal."""
    from crashcart.safety.operator import say_mark, timelines_under_way

    for run in timelines_under_way():
        click.echo(f"marked {run.run_id}: {say_mark(run.run_id, text)}")


@cli.command("next")
def next_() -> None:
    """End the phase that is being held (run --hold), as Enter does at the run's own terminal."""
    from crashcart.safety.operator import ask_to_go_on, timelines_under_way

    for run in timelines_under_way():
        click.echo(f"{run.run_id}: {ask_to_go_on(run.run_id)} is over")


@cli.command()
def recover() -> int:
    """Undo and stop whatever a run left behind when it, and its watchdog, were killed."""
    from crashcart.safety.recover import recover as do_recover

    return int(do_recover(click.echo).exit_status)
