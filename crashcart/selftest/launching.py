"""`crashcart run` as a process of its own, so that what is done to it is done to the real thing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import crashcart
from crashcart.loading import Project
from crashcart.model.errors import BadFile, CrashcartError, ExitStatus, UsageError
from crashcart.model.recording import FILES
from crashcart.model.verdict import Verdict
from crashcart.processes import is_same_process
from crashcart.reporting.jsonfile import read_verdict
from crashcart.safety.active import active_runs, read_active, request_abort

RUN_WITHIN_S = 900.0
"""No run of a selftest takes longer."""
END_WITHIN_S = 60.0
CASE_VARIABLE = "CRASHCART_SELFTEST_CASE"
"""In the environment of a run that a selftest began: the folder of its recording, which nobody else has."""
_LOOK_S = 0.02
_LAST_LINES = 12


class TooLong(CrashcartError):
    """A run did not end in its time."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Which project is run, and the folder that everything of a campaign is kept in."""

    project: Path
    out: Path
    same: Mapping[str, str]
    """What must be the same for results of several starts to be counted together: the project's commit, the runtime."""

    def inside(self, path: Path | None) -> str:
        """The path as results have it: below `out`."""
        return str(path.relative_to(self.out)) if path is not None else ""


def make_bench(project: Project, out: Path | None) -> Bench:
    """With that folder, else a new one below the project's `runs/`."""
    from crashcart.wiring.runs import commit_of, new_id
    from crashcart.wiring.runtimes import runtime_name

    folder = (out or project.runs_dir / "selftest" / new_id()).resolve()
    same = {"commit": commit_of(project.root), "crashcart": crashcart.__version__, "runtime": runtime_name(None)}
    return Bench(project.root, folder, same)


@dataclass(frozen=True, slots=True)
class Ran:
    """A run that has ended."""

    status: int
    """Its exit status; −9 where SIGKILL ended it."""
    recording: Path | None
    took_s: float
    said: str
    """The last lines that it printed."""

    @property
    def verdict(self) -> Verdict | None:
        """None where there is none, or none that can be read."""
        if self.recording is None:
            return None
        try:
            return read_verdict(self.recording / FILES["verdict"])
        except BadFile:
            return None


class Started:
    """A run that goes on."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        """Its recording comes to be in `folder`, which was empty."""
        self.pid = process.pid
        self.began_mono_s = time.monotonic()
        self.folder = folder
        self._process = process

    def recording(self) -> Path | None:
        """The recording's folder as soon as it is there; its name is the run's id."""
        return next((path.parent for path in self.folder.glob(f"*/*/{FILES['plan']}")), None)

    def ended(self) -> bool:
        """Whether it has."""
        return self._process.poll() is not None

    def wait(self, within_s: float = RUN_WITHIN_S) -> Ran:
        """Until it has ended. TooLong where it has not by then; it goes on."""
        try:
            status = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise TooLong(f"the run did not end within {within_s:.0f} s", where=str(self.folder)) from None
        return Ran(status, self.recording(), round(time.monotonic() - self.began_mono_s, 1), self._said())

    def end(self) -> None:
        """As Ctrl-C would, whatever state it is in; nothing of it goes on when this returns."""
        for number in (signal.SIGCONT, signal.SIGINT):
            self._process.send_signal(number)
        try:
            self._process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its watchdog does the rest
            self._process.wait()

    def _said(self) -> str:
        with contextlib.suppress(OSError):
            lines = (self.folder / "printed.txt").read_text(encoding="utf-8", errors="replace").splitlines()
            return "\n".join(lines[-_LAST_LINES:])
        return ""


@contextmanager
def started(bench: Bench, case: str, experiment: str, *options: str) -> Iterator[Started]:
    """`crashcart run EXPERIMENT …` with a folder of its own for the recording. Ended where this is left before it has.

    It has a session of its own: a Ctrl-C at our terminal comes to us alone, and we pass it on.
    """
    end_left_over(bench.out)
    folder = _fresh_folder(bench.out / "runs" / case)
    with (folder / "printed.txt").open("wb") as printed:
        process = subprocess.Popen(
            _argv(bench, "run", experiment, "--yes", "--out", str(folder), *options),
            env={**_environment(), CASE_VARIABLE: str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    run = Started(process, folder)
    try:
        yield run
    finally:
        if not run.ended():
            run.end()


def end_left_over(out: Path, within_s: float = END_WITHIN_S) -> None:
    """End a run that goes on although the selftest that began it was killed: it is made anew. TooLong if not."""
    for active in active_runs():
        if not Path(active.recording).is_relative_to(out):
            continue
        with contextlib.suppress(UsageError):
            request_abort(active.run_id)  # else it has ended in this moment
        until = time.monotonic() + within_s
        while read_active(active.run_id) is not None or is_same_process(active.harness):
            if time.monotonic() > until:
                raise TooLong(f"the run {active.run_id} of before did not end", remedy="crashcart recover")
            time.sleep(_LOOK_S)


def call(bench: Bench, *arguments: str, within_s: float = END_WITHIN_S) -> Ran:
    """Another of crashcart's commands: `recover`. TooLong where it did not end in its time, and was ended."""
    began = time.monotonic()
    try:
        done = subprocess.run(
            _argv(bench, *arguments),
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=within_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TooLong(f"crashcart {' '.join(arguments)} did not end within {within_s:.0f} s") from None
    return Ran(done.returncode, None, round(time.monotonic() - began, 1), done.stdout.decode(errors="replace").strip())


def run_to_end(bench: Bench, case: str, experiment: str, *options: str, within_s: float = RUN_WITHIN_S) -> Ran:
    """The same, undisturbed.

    Raises:
        UsageError: it was refused; says what it said.
        TooLong: it did not end in its time, and was ended.
    """
    with started(bench, case, experiment, *options) as run:
        ran = run.wait(within_s)
    refuse_refused(ran)
    return ran


def heed_abort(ran: Ran) -> None:
    """KeyboardInterrupt where somebody has asked the run itself to end (`crashcart abort`): they meant all of it."""
    if ran.status == ExitStatus.INTERRUPTED:
        raise KeyboardInterrupt


def outcome_of(verdict: Verdict | None) -> str:
    """The verdict's, as results have it: `none` where there is none."""
    return verdict.outcome.value if verdict is not None else "none"


def refuse_refused(ran: Ran) -> None:
    """UsageError where nothing was started: that is no result of anything."""
    if ran.status == ExitStatus.USAGE:
        raise UsageError(f"a run was refused:\n{ran.said}", remedy="mend that, then start the selftest again")


def _fresh_folder(above: Path) -> Path:
    """`1`, or the next number where a case that was cut short has left one."""
    above.mkdir(parents=True, exist_ok=True)
    folder = above / str(1 + max((int(path.name) for path in above.iterdir() if path.name.isdigit()), default=0))
    folder.mkdir()
    return folder


def _argv(bench: Bench, *arguments: str) -> Sequence[str]:
    # -P: nothing that lies about in a folder may stand in for a module
    return (sys.executable, "-P", "-m", "crashcart", "--project", str(bench.project), *arguments)


def _environment() -> Mapping[str, str]:
    package = str(Path(crashcart.__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH", ""))))
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "140"}
