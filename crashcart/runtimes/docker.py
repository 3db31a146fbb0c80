"""The docker runtime: every instance of a design is a container of this machine's engine, in networks of its own.

The engine must be this machine's own: containers' processes are stopped, continued, counted and killed as what they
are, processes of this machine, and addresses of its networks are spoken to directly. Nothing is published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from crashcart.model.design import Design
from crashcart.runtimes.disks import lacks_disks
from crashcart.runtimes.packet_loss import lacks_packet_loss

if TYPE_CHECKING:
    from crashcart.runtimes.local_stack import LocalStack

READY_WITHIN_S = 60.0
_FAMILIES = frozenset({"noop", "toxiproxy", "service", "database", "http", "disk", "network"})


class DockerRuntime:
    """Implements `ports.Runtime`."""

    name: ClassVar[str] = "docker"

    def __init__(
        self,
        images: Mapping[str, str],
        python: str = "python",
        *,
        cache: Path | None = None,
        ready_within_s: float = READY_WITHIN_S,
    ) -> None:
        """`images`: kind (`process`, `postgres`, …) → an image that the engine has. `cache`: None for the user's."""
        self._images = images
        self._python = python
        self._cache = cache
        self._ready_within_s = ready_within_s

    def lacks(self, fault_kind: str) -> str:
        """It can do whatever a container can suffer."""
        if fault_kind.partition("/")[0] not in _FAMILIES:
            return "it knows no such part of a container"
        if fault_kind == "network/loss":
            return lacks_packet_loss()
        return lacks_disks() if fault_kind.startswith("disk/") else ""

    def start(
        self,
        design: Design,
        *,
        run_id: str,
        project_dir: Path,
        log_dir: Path,
        extra_scrapes: Mapping[str, str],
        progress: Callable[[str], None],
        unwanted: Callable[[], bool] = lambda: False,
    ) -> LocalStack:
        """Boot everything, unless `unwanted` becomes true meanwhile.

        Raises:
            UsageError: an SQL file is wrong, a port can't be.
            BootError: names what did not come up, with its last lines. Nothing is left running in either case.
        """
        from crashcart.runtimes.boot import Order, boot
        from crashcart.runtimes.docker_ground import DockerGround
        from crashcart.tools import cache_dir, psql_folder, server_account

        account = server_account()
        order = Order(
            design=design,
            run_id=run_id,
            project_dir=project_dir.resolve(),
            log_dir=log_dir.resolve(),
            extra_scrapes=extra_scrapes,
            account=account,
            cache=self._cache or cache_dir(),
            ready_within_s=self._ready_within_s,
        )
        ground = DockerGround(run_id, self._images, self._python, account, psql_folder())
        return boot(order, ground, progress, unwanted)
