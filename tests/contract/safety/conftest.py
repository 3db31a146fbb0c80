from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import msgspec
import pytest

from crashcart.model.topology import ProcessRef, Topology
from crashcart.processes import is_same_process
from crashcart.safety.active import read_active
from crashcart.safety.ending import kill_leftovers, read_topology
from crashcart.tools import Toolbox
from tests.contract.safety.small_stack import SmallStack
from tests.contract.safety.stand_in import Settings

ROOT = Path(__file__).parents[3]


class StandIn:
    """A running stand-in harness."""

    def __init__(self, settings: Settings, process: subprocess.Popen[str]) -> None:
        self.settings = settings
        self.run_id = settings.run_id
        self.recording = Path(settings.recording)
        self.faultlog = self.recording / "faultlog.jsonl"
        self.state_dir = Path(settings.base) / f"crashcart-{settings.run_id}"
        self.process = process
        self.said: list[str] = []

    @property
    def topology(self) -> Topology:
        topology = read_topology(self.state_dir)
        assert topology is not None
        return topology

    @property
    def watchdog(self) -> ProcessRef:
        active = read_active(self.run_id)
        assert active is not None
        assert active.watchdog is not None
        return active.watchdog

    def hears(self, beginning: str = "") -> str:
        """Its next line that begins so."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.strip())
            if line.startswith(beginning):
                return line.strip()
        raise AssertionError(f"it ended (status {self.process.wait()}) after saying {self.said}")

    def ask(self, what: str) -> dict[str, Any]:
        pipe: IO[str] | None = self.process.stdin
        assert pipe is not None
        pipe.write(f"{what}\n")
        pipe.flush()
        told: dict[str, Any] = json.loads(self.hears("{"))
        return told

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def kill_watchdog(self) -> None:
        ref = self.watchdog
        assert is_same_process(ref)
        os.kill(ref.pid, signal.SIGKILL)


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state home"))
    return tmp_path / "state home" / "crashcart"


@pytest.fixture
def small_stack(tmp_path: Path, toolbox: Toolbox) -> Iterator[SmallStack]:
    run_id = f"test-{uuid.uuid4().hex}"
    try:
        stack = SmallStack(run_id, tmp_path, toolbox.toxiproxy.path, lambda _: None)
        yield stack
        stack.stop()
    finally:
        kill_leftovers(run_id)


@pytest.fixture
def stand_in(tmp_path: Path, toolbox: Toolbox) -> Iterator[Callable[..., StandIn]]:
    """Starts stand-ins; at the end nothing of them is left, whatever the test did."""
    with ExitStack() as leaving:

        def start(**changed: Any) -> StandIn:
            run_id = f"test-{uuid.uuid4().hex}"
            recording = tmp_path / f"re cording {run_id}"
            recording.mkdir()
            settings = Settings(run_id, str(recording), str(tmp_path), str(toolbox.toxiproxy.path), **changed)
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.contract.safety.stand_in", msgspec.json.encode(settings).decode()],
                cwd=ROOT,
                env={**os.environ, "TMPDIR": str(tmp_path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            leaving.callback(_clean, process, run_id)
            return StandIn(settings, process)

        yield start


def _clean(process: subprocess.Popen[str], run_id: str) -> None:
    active = read_active(run_id)
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()
    if active is not None and active.watchdog is not None and is_same_process(active.watchdog):
        os.kill(active.watchdog.pid, signal.SIGKILL)
    kill_leftovers(run_id)
