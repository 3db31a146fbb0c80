from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from crashcart.safety.ending import kill_leftovers
from crashcart.tools import Toolbox
from tests.contract.safety.small_stack import SmallStack


@pytest.fixture
def small_stack(tmp_path: Path, toolbox: Toolbox) -> Iterator[SmallStack]:
    run_id = f"test-{uuid.uuid4().hex}"
    try:
        stack = SmallStack(run_id, tmp_path, toolbox.toxiproxy.path, lambda _: None)
        yield stack
        stack.stop()
    finally:
        kill_leftovers(run_id)
