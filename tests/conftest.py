"""What tests of every area may ask for."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from tests.engine.presence import leave_out_without_engine, told

if TYPE_CHECKING:
    from crashcart.tools import Toolbox


def pytest_configure() -> None:
    # what is drawn for a terminal is not to depend on the one in which tests are run
    os.environ["TERM"] = "xterm-256color"


def pytest_runtest_setup(item: pytest.Item) -> None:
    leave_out_without_engine(item)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    line = told(terminalreporter.stats.get("skipped", []))
    if line:
        terminalreporter.write_line(line, yellow=True)


@pytest.fixture(scope="session")
def toolbox() -> Toolbox:
    """The real programs, made if need be: minutes the first time, nothing after that."""
    from crashcart.tools import setup

    return setup(print)


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago: ask for it just before it is bound."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
