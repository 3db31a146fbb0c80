from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest

from crashcart.processes import (
    RUN_VARIABLE,
    is_same_process,
    is_stopped,
    name_of,
    own_ref,
    process_ref,
    processes_of_run,
)
from crashcart.safety.ending import end_run, remove_state_dir

READY = "import sys, time; print('ready', flush=True); "
SLEEP = READY + "time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
# a child with an empty environment, as a server has that writes its title over it
WITH_BARE_CHILD = (
    "import subprocess; "
    "child = subprocess.Popen(['/bin/sleep', '60'], env={}); print(child.pid, flush=True); child.wait()"
)

Start = Callable[..., "subprocess.Popen[str]"]


@contextmanager
def _python(code: str, run_id: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, RUN_VARIABLE: run_id}
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def start() -> Iterator[Callable[[str, str], subprocess.Popen[str]]]:
    with ExitStack() as leaving:

        def started(code: str, run_id: str) -> subprocess.Popen[str]:
            entered: AbstractContextManager[subprocess.Popen[str]] = _python(code, run_id)
            return leaving.enter_context(entered)

        yield started


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_process_is_itself_and_not_another_of_the_same_pid() -> None:
    ref = own_ref()
    assert is_same_process(ref)
    assert not is_same_process(msgspec.structs.replace(ref, started_ticks=ref.started_ticks + 1))
    assert not is_same_process(msgspec.structs.replace(ref, boot_id="another boot"))
    assert name_of(ref) == Path("/proc/self/comm").read_text().strip()


def test_a_zombie_is_no_process(start: Start) -> None:
    process = start(SLEEP, "zombie-run")
    _first_line(process)
    ref = process_ref(process.pid)
    assert ref is not None
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_same_process(ref)
    assert process_ref(process.pid) is None
    assert processes_of_run("zombie-run") == frozenset()


def test_a_stopped_process_lives(start: Start) -> None:
    process = start(SLEEP, "stopped-run")
    _first_line(process)
    ref = process_ref(process.pid)
    assert ref is not None
    assert not is_stopped(ref)
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    assert is_stopped(ref)
    assert is_same_process(ref)


def test_the_processes_of_a_run_are_found_with_their_children_and_nobody_elses(start: Start) -> None:
    ours, other = start(WITH_BARE_CHILD, "run-a"), start(SLEEP, "run-ab")
    child = int(_first_line(ours))
    _first_line(other)
    assert {ref.pid for ref in processes_of_run("run-a")} == {ours.pid, child}


def test_ending_a_run_ends_the_stubborn_and_the_stopped_and_their_children_and_nobody_else(start: Start) -> None:
    ours = [start(code, "run-c") for code in (SLEEP, STUBBORN, WITH_BARE_CHILD)]
    other = start(SLEEP, "run-d")
    for process in (*ours, other):
        _first_line(process)
    ours[0].send_signal(signal.SIGSTOP)
    before = processes_of_run("run-c")
    assert len(before) == 4
    assert end_run("run-c") == ()
    assert not any(is_same_process(ref) for ref in before)
    assert other.poll() is None
    assert end_run("run-c") == ()


def test_a_folder_is_removed_only_if_it_is_shown_to_be_the_runs(tmp_path: Path) -> None:
    ours, other = tmp_path / "stack-20990101-abc", tmp_path / "photos"
    for folder in (ours, other):
        folder.mkdir()
        (folder / "file").touch()
    link = tmp_path / "link-abc"
    link.symlink_to(other)
    assert remove_state_dir(ours, "abc") == ""
    assert not ours.exists()
    assert "was left" in remove_state_dir(other, "abc")
    assert "was left" in remove_state_dir(link, "abc")
    assert (other / "file").exists()
    assert remove_state_dir(tmp_path / "never-was", "abc") == ""
