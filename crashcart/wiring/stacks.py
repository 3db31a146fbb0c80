"""A stack that stands without an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from crashcart.loading import Project
from crashcart.model.errors import ExitStatus, UsageError
from crashcart.wiring.runtimes import ready_runtime, runtime_name

if TYPE_CHECKING:
    from rich.console import Console

    from crashcart.model.topology import Topology


def stack_up(project: Project, design: str, console: Console, runtime: str | None = None) -> None:
    """Boot a design and leave it standing; says where its door is."""
    from crashcart.planning import front_door
    from crashcart.runtimes import standing

    def progress(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    loaded = project.design(design)
    readied = ready_runtime(runtime_name(runtime), project, (loaded,), progress)
    topology = standing.up(loaded, project.root, progress, runtime=readied.runtime)
    address = topology.proxy(front_door(loaded)).listen
    console.print(f"the shop's door: http://{address}   Prometheus: {topology.prometheus_url}")
    console.print("crashcart stack status · logs · down")


def stack_down(design: str, console: Console) -> None:
    """End a standing stack; none is fine."""
    from crashcart.runtimes import standing

    topology = standing.find(design)
    if topology is None:
        console.print(f"no stack of the design {design} is standing")
        return
    standing.down(topology)
    console.print(f"the stack of the design {design} is down, and its data removed")


def stack_status(design: str, console: Console) -> int:
    """How each instance is; 1 where one is not well."""
    from rich.table import Table

    from crashcart.runtimes import standing

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("instance", "kind", "address", "pid", "state"):
        table.add_column(column)
    rows = standing.status(_standing(design))
    for row in rows:
        table.add_row(row.instance, row.kind, row.address, str(row.pid or "–"), row.ready or "ready")
    console.print(table)
    return int(ExitStatus.FAIL if any(row.ready for row in rows) else ExitStatus.PASS)


def stack_logs(design: str, instance: str | None, *, follow: bool) -> None:
    """One instance's log, or the last lines of each; what services wrote is shown and not obeyed."""
    from crashcart.reporting import words
    from crashcart.runtimes import standing

    topology = _standing(design)
    if instance is not None:
        for line in standing.logs(topology, instance, follow=follow):
            click.echo(words.visible(line))
        return
    if follow:
        raise UsageError("whose log?", remedy="crashcart stack logs checkout[0] --follow")
    for one in topology.instances:
        for line in standing.logs(topology, one.name, lines=5):
            click.echo(f"{one.name}: {words.visible(line)}")


def _standing(design: str) -> Topology:
    from crashcart.runtimes import standing

    topology = standing.find(design)
    if topology is None:
        raise UsageError(
            f"no stack of the design {design!r} is standing", remedy=f"crashcart stack up --design {design}"
        )
    return topology
