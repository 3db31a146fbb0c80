"""What faults act on, seen by the harness, and by those that come after it."""

from __future__ import annotations

import signal
import time

from crashcart.model.errors import BootError
from crashcart.model.topology import Topology
from crashcart.ports import Holder, Stack
from crashcart.runtimes import stopping
from crashcart.runtimes.ending import DRAIN_SIGNALS, send
from crashcart.runtimes.ending import terminate as end_gently
from crashcart.runtimes.readiness import ask
from crashcart.runtimes.spec import spawn_from_spec
from crashcart.runtimes.starting import last_lines

READY_WITHIN_S = 30.0
UP_WITHIN_S = 2.0
"""The watchdog looks nowhere else meanwhile; it comes back to what is not ready by then."""
_LOOK_S = 0.02


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

    def terminate(self, instance: str, drain_s: float, /) -> None:
        """As `Stack.terminate`."""
        self._stack.terminate(instance, drain_s=drain_s)

    def start_again(self, instance: str) -> None:
        """As `Stack.start_again`."""
        self._stack.start_again(instance, ready_within_s=self._ready_within_s)

    def pause(self, instance: str) -> None:
        """SIGSTOP all its processes."""
        stopping.pause(self.topology, instance)

    def resume(self, instance: str) -> None:
        """SIGCONT all its processes."""
        stopping.resume(self.topology, instance)

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
        for pid in stopping.pids_of(self.topology, instance):
            send(pid, signal.SIGKILL)

    def terminate(self, instance: str, drain_s: float, /) -> None:
        """Ask the process that was started first to end, then SIGKILL what is left."""
        found = self.topology.instance(instance)
        pids = stopping.pids_of(self.topology, instance)
        if found.process is not None and found.process.pid in pids:
            end_gently({found.process.pid}, drain_s, DRAIN_SIGNALS.get(found.kind, signal.SIGTERM))
        self.kill(instance)

    def start_again(self, instance: str) -> None:
        """From its spec file, unless it runs.

        Raises:
            BootError: it died again, or it is not ready yet: to be asked again.
        """
        found = self.topology.instance(instance)
        if not stopping.pids_of(self.topology, instance):
            spawn_from_spec(found.spec_file)
        deadline = time.monotonic() + UP_WITHIN_S
        while said := ask(found.kind, found.address, timeout_s=UP_WITHIN_S / 4):
            if not stopping.pids_of(self.topology, instance):
                raise BootError(instance, "was started again and died", last_lines(found.log))
            if time.monotonic() > deadline:
                raise BootError(instance, f"was started again and is not ready yet: {said}")
            time.sleep(_LOOK_S)

    def pause(self, instance: str) -> None:
        """SIGSTOP all its processes."""
        stopping.pause(self.topology, instance)

    def resume(self, instance: str) -> None:
        """SIGCONT all its processes."""
        stopping.resume(self.topology, instance)

    def keep(self, _key: str, holder: Holder, /) -> None:
        """Who only undoes keeps nothing."""
        holder.close()

    def let_go(self, key: str) -> None:
        """What was kept died, or hangs, with the harness."""


class EndingWorld:
    """A stack that is about to be ended with all its processes: none is worth starting again."""

    def __init__(self, topology: Topology) -> None:
        """`topology` as it was written down."""
        self.topology = topology

    def kill(self, instance: str) -> None:
        """It will be."""

    def terminate(self, instance: str, drain_s: float, /) -> None:
        """It will be."""

    def start_again(self, instance: str) -> None:
        """Not for the second that it would live."""

    def pause(self, instance: str) -> None:
        """Nobody does anything any more."""

    def resume(self, instance: str) -> None:
        """Who ends it continues it first."""

    def keep(self, _key: str, holder: Holder, /) -> None:
        """Who only undoes keeps nothing."""
        holder.close()

    def let_go(self, key: str) -> None:
        """What was kept died with the harness."""
