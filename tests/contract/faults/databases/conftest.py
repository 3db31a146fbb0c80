"""One little stack with a database for all of these tests; its table is made anew for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from crashcart.runtimes.local import LocalRuntime
from crashcart.runtimes.local_stack import LocalStack
from crashcart.safety.worlds import DetachedWorld, StackWorld
from crashcart.tools import Toolbox
from tests.contract.faults.databases.rig import DESIGN, STOCK, Fault, MakeFault, client
from tests.contract.runtime.little_stack import booted
from tests.contract.safety.small_stack import wait_until


@pytest.fixture(scope="session")
def stack(toolbox: Toolbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    runtime = LocalRuntime(toolbox, cache=tmp_path_factory.mktemp("cache"), ready_within_s=30.0)
    with booted(runtime, DESIGN, tmp_path_factory.mktemp("logs")) as stack:
        yield stack


@pytest.fixture
def address(stack: LocalStack) -> Iterator[str]:
    """The server's, with its tables as new."""
    address = stack.topology.instance("db[0]").address
    with client(address) as session:
        left = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'crashcart%'"
        wait_until(lambda: session.value(left) == 0)  # the test before is really over
        session.execute(STOCK)
        session.execute("VACUUM (ANALYZE) stock")
    yield address
    for note in Path(stack.topology.state_dir).glob("*.note"):
        note.unlink()


@pytest.fixture
def world(stack: LocalStack) -> StackWorld:
    return StackWorld(stack)


@pytest.fixture
def fault(stack: LocalStack) -> Iterator[MakeFault]:
    with ExitStack() as leaving:

        def make(kind: str, raw: dict[str, Any], fault_id: str = "f1") -> Fault:
            made = Fault(stack, kind, raw, fault_id)
            leaving.callback(made.observer.close)
            leaving.callback(made.undo, DetachedWorld(stack.topology))
            return made

        yield make
