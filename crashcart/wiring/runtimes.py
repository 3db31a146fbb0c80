"""Which runtime, and all that it needs before anything starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crashcart.loading import Project
from crashcart.model.design import Design
from crashcart.model.errors import UsageError

if TYPE_CHECKING:
    from crashcart.ports import Runtime

RUNTIMES = ("local", "docker")
VARIABLE = "CRASHCART_RUNTIME"
"""In the environment: the runtime where a command is not told another."""


@dataclass(frozen=True, slots=True)
class Readied:
    """A runtime that can start any of the designs it was readied for."""

    runtime: Runtime
    versions: Mapping[str, str]
    """Of the programs it starts, for the record."""


def runtime_name(asked: str | None) -> str:
    """The one that was asked for, or that the environment names. UsageError where there is no such runtime."""
    if asked:
        return asked
    name = os.environ.get(VARIABLE, "") or RUNTIMES[0]
    if name not in RUNTIMES:
        raise UsageError(f"there is no runtime {name!r}", where=VARIABLE, remedy=f"one of: {', '.join(RUNTIMES)}")
    return name


def lacks_of(name: str) -> Callable[[str], str]:
    """What keeps it from doing a fault kind. Asks no engine: plans are made where there is none."""
    if name == "docker":
        from crashcart.runtimes.docker import DockerRuntime

        return DockerRuntime({}).lacks
    from crashcart.runtimes.local import LocalRuntime

    return LocalRuntime().lacks


def ready_runtime(name: str, project: Project, designs: Iterable[Design], progress: Callable[[str], None]) -> Readied:
    """Find its programs, or have its images.

    Raises:
        MissingTool: a program is not there. UsageError: no engine, or an image that can't be had.
    """
    return _docker(project, designs, progress) if name == "docker" else _local()


def _local() -> Readied:
    from crashcart.runtimes.local import LocalRuntime
    from crashcart.tools import find_tools

    tools = find_tools()
    found = (tools.postgres, tools.valkey, tools.toxiproxy, tools.prometheus)
    return Readied(LocalRuntime(), {tool.name: tool.version for tool in found})


def _docker(project: Project, designs: Iterable[Design], progress: Callable[[str], None]) -> Readied:
    from crashcart.images import build_shop, connect, ensure_parts
    from crashcart.loading.images import load_images
    from crashcart.runtimes.docker import DockerRuntime

    images = load_images(project, os.environ)
    kinds = {service.kind for design in designs for service in design.services.values()}
    wanted = sorted(kinds - {"process"} | {"toxiproxy", "prometheus"})
    client = connect()
    try:
        ensure_parts(client, images, wanted, progress)
        chosen = {kind: images.parts[kind] for kind in wanted}
        if "process" in kinds:
            chosen["process"] = build_shop(client, project.root, images, progress)
    finally:
        client.close()
    return Readied(DockerRuntime(chosen, images.shop.python), chosen)
