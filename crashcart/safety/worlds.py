"""What faults act on, seen by the harness, and by those that come after it."""

from __future__ import annotations

import signal
from pathlib import Path

from crashcart.model.topology import Topology
from crashcart.ports import Holder, Stack
from crashcart.runtimes.ending import instance_pids, send
from crashcart.runtimes.spec import spawn_from_spec

READY_WITHIN_S = 30.0


class StackWorld:
    """The harness's own stack. Implements `ports.World`."""

    def __init__(self, stack: Stack, *, ready_within_s: float = READY_WITHIN_S) -> None:
        """A killed instance must be ready again `ready_within_s` after its start."""
        self.topology = stack.topology
        self._stack = stack
        self._ready_within_s = ready_within_s
        self._kept: dict[str, Holder] = {}

    def kill(self, instance: str) -> None:
        """As `Stack.kill`."""
        self._stack.kill(instance)

    def start_again(self, instance: str) -> None:
        """As `Stack.start_again`."""
        self._stack.start_again(instance, ready_within_s=self._ready_within_s)

    def keep(self, key: str, holder: Holder, /) -> None:
        """Until `let_go`."""
        self.let_go(key)
        self._kept[key] = holder

    def let_go(self, key: str) -> None:
        """End it, if there is one."""
        holder = self._kept.pop(key, None)
        if holder is not None:
            holder.close()


class DetachedWorld:
    """A stack that runs on, known by what was written down of it: the watchdog's, while the harness hangs."""

    def __init__(self, topology: Topology) -> None:
        """`topology` as it was written down."""
        self.topology = topology

    def kill(self, instance: str) -> None:
        """SIGKILL all its processes."""
        for pid in self._pids(instance):
            send(pid, signal.SIGKILL)

    def start_again(self, instance: str) -> None:
        """From its spec file, unless it runs. Does not wait until it is ready."""
        if not self._pids(instance):
            spawn_from_spec(self.topology.instance(instance).spec_file)

    def keep(self, _key: str, holder: Holder, /) -> None:
        """Who only undoes keeps nothing."""
        holder.close()

    def let_go(self, key: str) -> None:
        """What was kept died, or hangs, with the harness."""

    def _pids(self, instance: str) -> set[int]:
        found = self.topology.instance(instance)
        return instance_pids(self.topology.run_id, instance, Path(found.data_dir or found.spec_file))


class EndingWorld:
    """A stack that is about to be ended with all its processes: none is worth starting again."""

    def __init__(self, topology: Topology) -> None:
        """`topology` as it was written down."""
        self.topology = topology

    def kill(self, instance: str) -> None:
        """It will be."""

    def start_again(self, instance: str) -> None:
        """Not for the second that it would live."""

    def keep(self, _key: str, holder: Holder, /) -> None:
        """Who only undoes keeps nothing."""
        holder.close()

    def let_go(self, key: str) -> None:
        """What was kept died with the harness."""
