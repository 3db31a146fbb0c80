"""A project of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from crashcart.cli.top import cli


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="Its name in the files.  [default: the folder's]")
def init(folder: Path, name: str | None) -> None:
    """Write a small project that works, to be changed into your own."""
    import shlex

    from crashcart.scaffold import init as do_init

    for written in do_init(folder, name):
        click.echo(f"  {folder / written}")
    click.echo(f"\nIt works as it stands:\n  crashcart --project {shlex.quote(str(folder))} run slow-database")
