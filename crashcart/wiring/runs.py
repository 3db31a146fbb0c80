"""One run, from the lock to the verdict."""

from __future__ import annotations

import errno
import os
import platform
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from crashcart.loading import Project
from crashcart.model.errors import CrashcartError, NotUndone, UsageError
from crashcart.model.plan import Plan
from crashcart.wiring.parts import make_parts
from crashcart.wiring.preflight import keep_capacity
from crashcart.wiring.recordings import judge_recording

if TYPE_CHECKING:
    from rich.console import Console

    from crashcart.model.holding import Hold
    from crashcart.model.recording import Machine
    from crashcart.model.verdict import Verdict
    from crashcart.ports import Runtime
    from crashcart.running.interrupts import Interrupts

Tell = Callable[[Path, "Verdict"], None]
"""Called with a recording's folder and its verdict."""

LEAST_FREE_MIB = 200


@dataclass(frozen=True, slots=True)
class Bench:
    """What all runs of a command share: read once, before the first of them."""

    project: Project
    runs_dir: Path
    commit: str
    machine: Machine
    runtime: Runtime


def make_bench(project: Project, runs_dir: Path, plans: Sequence[Plan], console: Console) -> Bench:
    """Find what all the plans, of one runtime, need. MissingTool or UsageError where something is not there."""
    from crashcart.wiring.runtimes import ready_runtime

    designs = [made.design for made in plans]
    readied = ready_runtime(
        plans[0].runtime, project, designs, lambda line: console.print(line, markup=False, soft_wrap=True)
    )
    return Bench(project, runs_dir, commit_of(project.root), _machine(dict(readied.versions)), readied.runtime)


def new_id() -> str:
    """Of a run or a suite: sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


@contextmanager
def machine_taken(holder: str, console: Console) -> Iterator[None]:
    """The machine is ours: nobody else's run is under way, and nothing of an earlier one is left.

    Raises UsageError where another run holds it, NotUndone where something is still broken.
    """
    from crashcart.safety.recover import recover
    from crashcart.safety.runlock import runlock

    with runlock(holder):
        left = recover(lambda line: console.print(line, markup=False))
        if left.not_undone:
            raise NotUndone("; ".join(left.not_undone), remedy="mend it by hand, then run `crashcart recover`")
        yield


def run_in(
    bench: Bench,
    made: Plan,
    run_id: str,
    console: Console,
    interrupts: Interrupts,
    tell: Tell,
    hold: Hold | None = None,
) -> Verdict:
    """One run on a machine that is taken, judged and reported; `tell` is called with the verdict.

    Raises NotUndone where something is still broken, when all that is done; BootError; UsageError where there is no
    room; CrashcartError where the room ran out meanwhile.
    """
    import duckdb

    from crashcart.live import make_view
    from crashcart.recorder import NotRecorded
    from crashcart.running import Prepared, run

    out = _new_recording(bench.runs_dir, made.name, run_id)
    prepared = Prepared(made, run_id, bench.project.root, out, bench.commit, bench.machine, _told_to_the_load(), hold)
    not_undone: NotUndone | None = None
    unkept = ""
    try:
        with make_view(made, console) as view:
            run(prepared, make_parts(made, run_id, view, bench.runtime), interrupts)
    except NotUndone as error:
        not_undone = error
    except (OSError, duckdb.Error, NotRecorded) as error:
        raise _no_room(error, out) from error
    try:
        verdict = _judged(out)
        # all that is to be kept is kept before anybody is told
        if hold is None:  # who holds a phase mends and tries things meanwhile
            unkept = keep_capacity(bench.project, made, verdict)
        tell(out, verdict)
        if unkept:
            console.print(unkept, markup=False, soft_wrap=True)
    finally:
        # whatever becomes of the report: that something is still broken comes first
        if not_undone is not None:
            raise not_undone
    return verdict


def _judged(out: Path) -> Verdict:
    """Something was started: what goes wrong from here on is no usage error."""
    try:
        return judge_recording(out)
    except UsageError as error:
        raise CrashcartError(error.what, where=error.where, remedy=error.remedy) from error
    except OSError as error:
        raise _no_room(error, out) from error


def _no_room(error: Exception, out: Path) -> Exception:
    """The error in words where a disk is full (DuckDB has no number for it); else the error."""
    number = error.errno if isinstance(error, OSError) else None
    if number not in (errno.ENOSPC, errno.EDQUOT) and os.strerror(errno.ENOSPC) not in str(error):
        return error
    return CrashcartError(
        "the disk is full: the run was broken off and everything put back, its recording is cut short",
        where=str(out),
        remedy="make room (`crashcart runs prune --keep 5`), or name another folder with --out",
    )


def _told_to_the_load() -> dict[str, str]:
    """What of the user's environment it needs to find its modules. The rest may be secret, or change what it does."""
    return {name: value for name, value in os.environ.items() if name.startswith(("PYTHON", "CRASHCART_"))}


def _new_recording(runs_dir: Path, name: str, run_id: str) -> Path:
    """A folder for it. `latest` points there from now on: whatever comes of this run, nobody reads the one before."""
    out = runs_dir / name / run_id
    try:
        out.mkdir(parents=True)
        (out / "logs").mkdir()
    except OSError as error:
        raise _unwritable(error, out) from error
    free_mib = shutil.disk_usage(out).free >> 20
    if free_mib < LEAST_FREE_MIB:
        _remove_empty(runs_dir, out)
        raise UsageError(
            f"only {free_mib} MiB are free", where=str(out), remedy="make room, or name another with --out"
        )
    try:
        _point_latest(runs_dir, out)
    except OSError as error:
        _remove_empty(runs_dir, out)
        raise _unwritable(error, runs_dir / "latest") from error
    return out


def _unwritable(error: OSError, where: Path) -> UsageError:
    what = f"the recording can't be written: {error.strerror}"
    return UsageError(what, where=str(where), remedy="name another folder with --out")


def _remove_empty(runs_dir: Path, out: Path) -> None:
    """What was just made, where nothing came of it."""
    for folder in (out / "logs", out, out.parent, runs_dir):
        try:
            folder.rmdir()
        except OSError:  # others have something in it
            return


def _point_latest(runs_dir: Path, out: Path) -> None:
    link, fresh = runs_dir / "latest", runs_dir / f".latest-{os.getpid()}"
    fresh.symlink_to(out.relative_to(runs_dir))
    fresh.replace(link)


def commit_of(root: Path) -> str:
    """The project's commit, with `+changes` where the tree has any; empty outside git."""
    try:
        head = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "-C", str(root), "status", "--porcelain"], capture_output=True, text=True, check=True, timeout=5
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{head}+changes" if changed else head


def _machine(tools: dict[str, str]) -> Machine:
    from crashcart.model.recording import Machine

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(os.cpu_count() or 1, memory >> 20, platform.release(), platform.python_version(), tools)
