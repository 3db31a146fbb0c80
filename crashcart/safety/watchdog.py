"""The harness's end of the watchdog: a process in a session of its own that outlives the harness, whatever kills it.

`python -m crashcart.safety.watchdog ORDERS` is that process; what it does is in `patrol.py`.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

import crashcart
from crashcart.model.errors import BadFile, CrashcartError
from crashcart.model.recording import FILES
from crashcart.model.topology import Topology
from crashcart.processes import RUN_VARIABLE, boot_id, is_stopped, own_ref, process_ref, processes_of_run
from crashcart.safety.active import ActiveRun, forget, read_active, register
from crashcart.safety.ending import containers_left, find_state_dir
from crashcart.safety.faultlog import open_steps, read_log
from crashcart.safety.patrol import BEAT, END, RELEASE, STACK, Orders, main

SILENCE_S = 2.0
HANG_LIMIT_S = 30.0
READY_WITHIN_S = 10.0
RELEASE_WITHIN_S = 5.0
END_WITHIN_S = 10.0
"""Longest that it may take to end what the harness did not."""
STOPPED = "the watchdog is stopped (SIGSTOP, a debugger): nobody would mend what the harness can't"
LOG_FILE = Path("logs", "watchdog.log")


class Watchdog:
    """Implements `ports.Watchdog`. Threads may share it."""

    def __init__(self, run: ActiveRun, process: subprocess.Popen[bytes]) -> None:
        """Use `start`."""
        self._run = run
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._to, self._from = process.stdin.fileno(), process.stdout.fileno()
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        self._unread = b""
        self._trouble: list[str] = []
        self._released = False

    @classmethod
    def start(
        cls,
        run_id: str,
        recording: Path,
        *,
        runtime: str = "",
        silence_s: float = SILENCE_S,
        hang_limit_s: float = HANG_LIMIT_S,
    ) -> Watchdog:
        """Register the run as active and start watching over it: before anything else of it is started.

        `runtime`: what is going to start the stack; a boot that fails may leave something with its engine.
        From now on `beat` must be called several times a second. Without it for `silence_s`, open faults are undone;
        for `hang_limit_s`, the run is ended. When this process dies, both, at once.

        Raises:
            CrashcartError: it did not come up.
        """
        recording = recording.resolve()
        (recording / LOG_FILE).parent.mkdir(parents=True, exist_ok=True)
        run = ActiveRun(
            run_id=run_id,
            boot_id=boot_id(),
            harness=own_ref(),
            faultlog=str(recording / FILES["faultlog"]),
            recording=str(recording),
            temporary=tempfile.gettempdir(),
            runtime=runtime,
        )
        register(run)
        watchdog = cls(run, _spawn(Orders(run, silence_s, hang_limit_s), recording))
        try:
            watchdog._wait_ready()
        except CrashcartError:
            watchdog._process.kill()
            watchdog._close()
            forget(run_id)
            raise
        watchdog._register(watchdog=process_ref(watchdog._process.pid))
        return watchdog

    @property
    def pid(self) -> int:
        """Of the watchdog's process."""
        return self._process.pid

    def watch(self, topology: Topology) -> None:
        """This is what was started; `topology.json` in its folder says the rest."""
        self._register(state_dir=topology.state_dir, runtime=topology.runtime)
        self._say(f"{STACK} {topology.state_dir}")

    def beat(self) -> None:
        """The harness is alive. Several times a second; a few microseconds."""
        self._say(BEAT)

    def alive(self) -> bool:
        """Whether it watches over a run that is whole: False, too, once it has had to act in the harness's place."""
        return not self.trouble()

    def trouble(self) -> tuple[str, ...]:
        """Why the run can't be believed any more: the watchdog died, or undid something because the harness hung."""
        self._listen()
        status = self._process.poll()
        if status is not None and not self._released:
            self._released = True
            self._trouble.append(f"the watchdog has ended with status {status}")
        stopped = self._run.watchdog is not None and not self._released and is_stopped(self._run.watchdog)
        return (*self._trouble, *([STOPPED] if stopped else []))

    def release(self) -> None:
        """The run is over: stand down, once nothing of it runs any more. Idempotent.

        What the harness did not end (a boot that it left half-way) is ended first. Forgets the run, unless something
        of it is left for `recover`.
        """
        if self._process.poll() is None:
            self._released = True
            left_behind = bool(processes_of_run(self._run.run_id)) or self._folder_is_left()
            if not left_behind:
                self._forget_if_clean()  # killed once the watchdog has gone, we would leave the record to nobody
            self._say(END if left_behind else RELEASE)
            try:
                self._process.wait(END_WITHIN_S if left_behind else RELEASE_WITHIN_S)
            except subprocess.TimeoutExpired:  # it was stopped, or is stuck in the kernel
                self._process.kill()
                self._process.wait()
        self._close()
        self._forget_if_clean()

    def _forget_if_clean(self) -> None:
        if self._nothing_is_left():
            forget(self._run.run_id)

    def _nothing_is_left(self) -> bool:
        try:
            left = open_steps(read_log(Path(self._run.faultlog)))
        except BadFile:
            return False
        living = processes_of_run(self._run.run_id)
        return not (left or living or self._folder_is_left() or containers_left(self._run))

    def _folder_is_left(self) -> bool:
        """The stack's throw-away folder; of a boot that was left half-way nobody has said where it is."""
        return bool(find_state_dir(self._run.run_id, self._run.temporary))

    def _register(self, **changed: object) -> None:
        self._run = msgspec.structs.replace(read_active(self._run.run_id) or self._run, **changed)
        register(self._run)

    def _say(self, word: str) -> None:
        # a watchdog that is dead can't be told; one that was stopped long ago has a full pipe: `trouble` tells both
        with contextlib.suppress(OSError):
            os.write(self._to, f"{word}\n".encode())

    def _listen(self) -> list[str]:
        """What it has said since, as (what, text) in words; all but `ready` is trouble."""
        with contextlib.suppress(OSError):  # nothing more to read for now
            while data := os.read(self._from, 65_536):
                self._unread += data
        *lines, self._unread = self._unread.split(b"\n")
        told = [msgspec.json.decode(line, type=dict[str, str]) for line in lines]
        self._trouble += [f"the watchdog: {one['what']}: {one['text']}" for one in told if one["what"] != "ready"]
        return [one["what"] for one in told]

    def _wait_ready(self) -> None:
        until = time.monotonic() + READY_WITHIN_S
        while "ready" not in self._listen():
            if self._process.poll() is not None or time.monotonic() >= until:
                log = Path(self._run.recording) / LOG_FILE
                raise CrashcartError("the watchdog did not come up", where=str(log), remedy="its log says why")
            select.select([self._from], [], [], 0.1)

    def _close(self) -> None:
        self._to = self._from = -1
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def _spawn(orders: Orders, recording: Path) -> subprocess.Popen[bytes]:
    package = str(Path(crashcart.__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH", "")
    environment = {key: value for key, value in os.environ.items() if key != RUN_VARIABLE}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (package, inherited)))
    # -P: nothing that lies about in a folder may stand in for a module
    argv = [sys.executable, "-P", "-m", "crashcart.safety.watchdog", msgspec.json.encode(orders).decode()]
    with (recording / LOG_FILE).open("ab") as log:
        return subprocess.Popen(
            argv,
            env=environment,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
