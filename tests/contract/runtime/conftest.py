"""A runtime with a cache of its own, and one little stack for all tests that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crashcart.runtimes.local import LocalRuntime
from crashcart.runtimes.local_stack import LocalStack
from crashcart.tools import Toolbox
from tests.contract.runtime.little_stack import booted, little_design


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def runtime(toolbox: Toolbox, cache: Path) -> LocalRuntime:
    return LocalRuntime(toolbox, cache=cache, ready_within_s=30.0)


@pytest.fixture(scope="module")
def stack(runtime: LocalRuntime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with booted(runtime, little_design(), tmp_path_factory.mktemp("logs")) as stack:
        yield stack
