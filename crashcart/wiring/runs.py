"""One run, from the lock to the verdict."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from crashcart.loading import Project
from crashcart.model.errors import NotUndone, UsageError
from crashcart.model.plan import Plan
from crashcart.wiring.parts import make_parts
from crashcart.wiring.recordings import judge_recording, show_verdict

if TYPE_CHECKING:
    from rich.console import Console

    from crashcart.model.recording import Machine


def run_and_judge(project: Project, made: Plan, runs_dir: Path, console: Console) -> int:
    """The whole of `crashcart run`; the exit status."""
    from crashcart.live import make_view
    from crashcart.running import Prepared, run
    from crashcart.running.interrupts import Interrupts
    from crashcart.safety.recover import recover
    from crashcart.safety.runlock import runlock
    from crashcart.tools import find_tools

    tools = find_tools()
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    with runlock(run_id):
        left = recover(lambda line: console.print(line, markup=False))
        if left.not_undone:
            raise NotUndone("; ".join(left.not_undone), remedy="mend it by hand, then run `crashcart recover`")
        out = _new_recording(runs_dir, made.name, run_id)
        versions = {
            tool.name: tool.version for tool in (tools.postgres, tools.valkey, tools.toxiproxy, tools.prometheus)
        }
        prepared = Prepared(made, run_id, project.root, out, _commit(project.root), _machine(versions), os.environ)
        not_undone: NotUndone | None = None
        try:
            with make_view(made, console) as view:
                run(prepared, make_parts(made, run_id, view), Interrupts())
        except NotUndone as error:
            not_undone = error
        try:
            _point_latest(runs_dir, out)
            verdict = judge_recording(out)
            show_verdict(out, verdict, console)
        finally:
            # whatever becomes of the report: that something is still broken comes first
            if not_undone is not None:
                raise not_undone
        return verdict.exit_status


def _new_recording(runs_dir: Path, name: str, run_id: str) -> Path:
    out = runs_dir / name / run_id
    try:
        out.mkdir(parents=True)
        (out / "logs").mkdir()
    except OSError as error:
        raise UsageError(
            f"the recording can't be written: {error.strerror}", where=str(out), remedy="name another folder with --out"
        ) from error
    free_mib = shutil.disk_usage(out).free >> 20
    if free_mib < 200:
        raise UsageError(
            f"only {free_mib} MiB are free", where=str(out), remedy="make room, or name another with --out"
        )
    return out


def _point_latest(runs_dir: Path, out: Path) -> None:
    link, fresh = runs_dir / "latest", runs_dir / f".latest-{os.getpid()}"
    fresh.symlink_to(out.relative_to(runs_dir))
    fresh.replace(link)


def _commit(root: Path) -> str:
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
