"""The images of a project, built and listed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from crashcart.loading import Project
from crashcart.loading.images import load_images

if TYPE_CHECKING:
    from rich.console import Console

_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
_SHOWN = 70


def images_build(project: Project, console: Console, *, no_cache: bool) -> None:
    """Build the shop's image where it is not there; with how far it is."""
    from crashcart.images import build_shop, connect

    images = load_images(project, os.environ)
    with closing(connect()) as client, _steps(console) as progress:
        tag = build_shop(client, project.root, images, progress, no_cache=no_cache)
        size = client.images.get(tag).attrs["Size"]
    console.print(f"{tag}   {_megabytes(size)}", markup=False, soft_wrap=True)


def images_list(project: Project, console: Console) -> None:
    """One line for the shop and for each part."""
    from rich.table import Table

    from crashcart.images import connect, shop_tag
    from crashcart.images.parts import size_of

    images = load_images(project, os.environ)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("part", "image", "here"):
        table.add_column(column, overflow="fold")
    with closing(connect()) as client:
        for part, image in {"shop": shop_tag(project.root, images), **images.parts}.items():
            size = size_of(client, image)
            table.add_row(part, image, "no" if size is None else _megabytes(size))
    console.print(table)


@contextmanager
def _steps(console: Console) -> Iterator[Callable[[str], None]]:
    """Where each line of a build goes: a bar at a terminal, the steps alone in a log."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    if not console.is_terminal:
        yield lambda line: console.print(line, markup=False, soft_wrap=True)
        return
    columns = (BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(line: str) -> None:
            step = _STEP.match(line)
            if step:
                number, total, what = step.groups()
                bar.update(task, completed=int(number) - 1, total=int(total), description=what[:_SHOWN])
            else:
                bar.update(task, description=line.strip()[:_SHOWN])

        yield show


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
