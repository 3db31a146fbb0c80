"""A harness that does a fault and is killed over it: `python -m tests.contract.faults.doer`, a Deed on its stdin."""

from __future__ import annotations

import signal
import sys

import msgspec

from crashcart.faults import registry
from crashcart.model.fault import Step
from crashcart.model.topology import Topology
from crashcart.ports import Holder
from crashcart.safety.worlds import DetachedWorld


class Deed(msgspec.Struct, frozen=True):
    """What to do."""

    topology: Topology
    steps: tuple[Step, ...]


class KeepingWorld(DetachedWorld):
    """Keeps what it is given, as the harness does."""

    def __init__(self, topology: Topology) -> None:
        super().__init__(topology)
        self.kept: dict[str, Holder] = {}

    def keep(self, key: str, holder: Holder, /) -> None:
        self.kept[key] = holder

    def let_go(self, key: str) -> None:
        if key in self.kept:
            self.kept.pop(key).close()


def main() -> None:
    """Says `done`, and waits to be killed."""
    deed = msgspec.json.decode(sys.stdin.buffer.read(), type=Deed)
    world = KeepingWorld(deed.topology)
    for step in deed.steps:
        registry()[step.kind].apply(step, world)
    sys.stdout.write("done\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main()
