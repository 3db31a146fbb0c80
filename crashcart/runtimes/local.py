"""The local runtime: every instance of a design is a process group of this machine. No engine is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from crashcart.model.design import Design
from crashcart.runtimes.disks import lacks_disks

if TYPE_CHECKING:
    from crashcart.runtimes.local_stack import LocalStack
    from crashcart.tools import Toolbox

READY_WITHIN_S = 60.0
"""A busy machine takes longer than the five seconds of an idle one; what hangs is found out all the same."""

_FAMILIES = frozenset({"noop", "toxiproxy", "service", "database", "http", "disk"})
_OF_CONTAINERS = frozenset({"service/cpu-limit", "service/memory-limit"})


class LocalRuntime:
    """Implements `ports.Runtime`."""

    name: ClassVar[str] = "local"

    def __init__(
        self,
        toolbox: Toolbox | None = None,
        *,
        cache: Path | None = None,
        ready_within_s: float = READY_WITHIN_S,
    ) -> None:
        """`toolbox`: None to look for the tools when something is started. `cache`: None for the user's own."""
        self._toolbox = toolbox
        self._cache = cache
        self._ready_within_s = ready_within_s

    def lacks(self, fault_kind: str) -> str:
        """It can do whatever needs no network, host or container of its own."""
        if fault_kind.partition("/")[0] not in _FAMILIES or fault_kind in _OF_CONTAINERS:
            return "its services have no network, host or container of their own (--runtime docker gives them one)"
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
            MissingTool: a program is missing.
            UsageError: a port that the design fixes is taken, or an SQL file is wrong.
            BootError: names what did not come up, with its last lines. Nothing is left running in any of these cases.
        """
        # planning asks what can be done, and starts nothing: it need not wait for these
        from crashcart.runtimes.boot import Order, boot
        from crashcart.runtimes.grounds import LocalGround
        from crashcart.tools import cache_dir, find_tools, server_account

        account, cache = server_account(), self._cache or cache_dir()
        order = Order(
            design=design,
            run_id=run_id,
            project_dir=project_dir.resolve(),
            log_dir=log_dir.resolve(),
            extra_scrapes=extra_scrapes,
            account=account,
            cache=cache,
            ready_within_s=self._ready_within_s,
        )
        return boot(order, LocalGround(self._toolbox or find_tools(), account, cache), progress, unwanted)
