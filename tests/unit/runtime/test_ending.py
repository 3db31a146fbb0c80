"""Ending a stack of which something resists: what can be ended is, and the rest is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from crashcart.model.topology import Topology
from crashcart.processes import RUN_VARIABLE
from crashcart.runtimes.children import Children
from crashcart.runtimes.ending import end_stack
from crashcart.runtimes.local_stack import LocalStack
from crashcart.runtimes.spec import Child
from crashcart.runtimes.template import end_server

NO_PID = 2**22 + 1
"""More than Linux ever gives."""


class Endless:
    """Implements `Started`: stuck in the kernel, for all that anybody can tell."""

    pid = NO_PID
    returncode: int | None = None
    removed = False

    def has_ended(self) -> bool:
        return False

    def poll(self) -> int | None:
        return None

    def wait(self, timeout: float | None = None) -> int:
        raise subprocess.TimeoutExpired("endless", timeout or 0.0)

    def send_signal(self, sig: int) -> None: ...

    def kill(self) -> None: ...

    def flush_log(self) -> None: ...


def _stack(tmp_path: Path, children: Children, released: list[str]) -> LocalStack:
    run_id = f"test-{uuid.uuid4().hex[:8]}"
    state_dir = tmp_path / f"crashcart-{run_id}"
    state_dir.mkdir()
    topology = Topology(run_id, str(state_dir), str(tmp_path), (), (), "", "")
    return LocalStack(
        topology,
        children=children,
        release=lambda: released.append(run_id),
        boot_s=0.0,
        timeline=(),
        log_dir=tmp_path,
        cache=tmp_path,
    )


def test_who_does_not_end_is_named_and_everything_else_is_put_back(tmp_path: Path) -> None:
    children, released = Children(), list[str]()
    for name in ("door[0]", "shelf[0]"):
        children.add(name, Endless())
    stack = _stack(tmp_path, children, released)
    assert stack.stop() == ("door[0] did not end", "shelf[0] did not end")
    assert released == [stack.topology.run_id]
    assert not Path(stack.topology.state_dir).exists()


def test_a_process_that_may_not_be_signalled_is_named_and_the_others_are_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = f"test-{uuid.uuid4().hex[:8]}"
    state_dir = tmp_path / f"crashcart-{run_id}"
    state_dir.mkdir()
    started = [_sleeping(run_id) for _ in range(3)]
    theirs, kill = started[0], os.kill

    def as_of_another_account(pid: int, number: int) -> None:
        if pid == theirs.pid:
            raise PermissionError
        kill(pid, number)

    monkeypatch.setattr("os.kill", as_of_another_account)
    try:
        assert end_stack(run_id, state_dir) == (f"process {theirs.pid} could not be ended",)
    finally:
        monkeypatch.undo()
        theirs.kill()
    assert [one.wait() for one in started[1:]] == [-signal.SIGKILL] * 2
    theirs.wait()
    assert not state_dir.exists()


@pytest.mark.parametrize(("hears", "ended", "status"), [(True, True, 0), (False, False, -signal.SIGKILL)])
def test_a_templates_server_that_does_not_hear_is_killed_and_that_is_told(
    hears: bool, ended: bool, status: int
) -> None:
    act = "lambda *_: os._exit(0)" if hears else "signal.SIG_IGN"
    code = f"import os, signal; signal.signal(signal.SIGINT, {act}); print('up', flush=True); signal.pause()"
    with Child([sys.executable, "-c", code], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        assert end_server(server, 5.0 if hears else 0.2) is ended
        assert server.returncode == status


def _sleeping(run_id: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"], env={**os.environ, RUN_VARIABLE: run_id}, start_new_session=True)
