"""What a design is booted on: all that one runtime does differently from another. Here the plain machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from crashcart.model.design import Design
from crashcart.model.topology import Topology
from crashcart.runtimes.addresses import LOOPBACK, Reservations
from crashcart.runtimes.layout import Layout, lay_out
from crashcart.runtimes.postgres import PostgresProgram
from crashcart.runtimes.spec import SpawnSpec, base_environment, python_environment
from crashcart.tools import ServerAccount, Toolbox


@dataclass(frozen=True, slots=True)
class Programs:
    """How the servers are called where they run."""

    postgres: PostgresProgram
    valkey: Path
    toxiproxy: Path
    prometheus: Path
    python: str
    """What `{python}` of a design's command stands for."""


class Ground(Protocol):
    """Used by one boot, and released with its stack."""

    runtime: ClassVar[str]
    programs: Programs

    def lay_out(self, design: Design) -> Layout:
        """Where everything will listen. UsageError where a port can't be had."""

    def template_address(self, service: str) -> str:
        """host:port at which the server listens that makes a database's template."""

    def getting_ready(self, topology: Topology) -> AbstractContextManager[None]:
        """Once the stack's folder is there, and is known to whoever clears up; what else it makes is made when it ends.

        What is booted meanwhile waits for what it needs of that.
        """

    def environment(self, run_id: str, name: str, kind: str) -> dict[str, str]:
        """What every process gets."""

    def python_environment(self) -> Mapping[str, str]:
        """What a program in Python gets beside."""

    def placed(self, spec: SpawnSpec) -> SpawnSpec:
        """The process where it belongs. BootError where that can't be had."""

    def make(self, spec: SpawnSpec) -> None:
        """All that can be done for a placed process before it is started. BootError."""

    def own(self, folder: Path) -> None:
        """Let an instance that is no database write to its folder."""

    def release(self) -> None:
        """Hold nothing any more. Idempotent."""


class LocalGround:
    """Processes of this machine on its loopback interface. Implements `Ground`."""

    runtime: ClassVar[str] = "local"

    def __init__(self, toolbox: Toolbox, account: ServerAccount, cache: Path) -> None:
        """`cache`: where byte code is kept."""
        self.programs = Programs(
            postgres=PostgresProgram.of(toolbox, account),
            valkey=toolbox.valkey.path,
            toxiproxy=toolbox.toxiproxy.path,
            prometheus=toolbox.prometheus.path,
            python=sys.executable,
        )
        self._cache = cache
        self._reservations = Reservations()
        self._template_ports: dict[str, int] = {}

    def lay_out(self, design: Design) -> Layout:
        """Ports that are held from now on."""
        layout = lay_out(design, self._port)
        databases = [name for name, service in design.services.items() if service.kind == "postgres"]
        self._template_ports = {name: self._reservations.take() for name in databases}
        return layout

    def _port(self, whose: str, fixed: int | None) -> int:
        if fixed is None:
            return self._reservations.take()
        return self._reservations.take_fixed(fixed, asked_by=whose)

    def template_address(self, service: str) -> str:
        """On loopback, too."""
        return f"{LOOPBACK}:{self._template_ports[service]}"

    def getting_ready(self, topology: Topology) -> AbstractContextManager[None]:  # noqa: ARG002 - nothing to make
        """There is nothing to do."""
        return nullcontext()

    def environment(self, run_id: str, name: str, kind: str) -> dict[str, str]:
        """Our own, as far as it says where and in which language we are."""
        return base_environment(run_id, name, kind)

    def python_environment(self) -> Mapping[str, str]:
        """Compiled once per user."""
        return python_environment(self._cache)

    def placed(self, spec: SpawnSpec) -> SpawnSpec:
        """As it is."""
        return spec

    def make(self, spec: SpawnSpec) -> None:
        """There is nothing to do."""

    def own(self, folder: Path) -> None:
        """It is ours, and so are the processes."""

    def release(self) -> None:
        """The ports."""
        self._reservations.release()
