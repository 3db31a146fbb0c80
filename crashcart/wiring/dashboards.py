"""A project's dashboards and rules: written from its files, and put into a Grafana."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from crashcart.burnrates import WRITTEN_BY, rules_text
from crashcart.loading import Project
from crashcart.model.errors import UsageError

_PROGRAM_TIMEOUT_S = 120.0


def build_dashboards(project: Project) -> list[Path]:
    """Write the rules of every SLO, and start the project's `python -m dashboards` where it has one; gives all files.

    Raises:
        UsageError: a file can't be written, or the project's program failed.
    """
    rules = {f"{slo.name}.yaml": rules_text(slo) for slo in project.slos.values() if slo.told_within_s is None}
    folder = project.root / "dashboards" / "rules"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in rules.items():
            (folder / name).write_text(text, encoding="utf-8")
        for path in folder.glob("*.yaml"):
            if path.name not in rules and path.read_text(encoding="utf-8").startswith(WRITTEN_BY):
                path.unlink()  # of an SLO that is no more
    except OSError as problem:
        raise UsageError(f"can't be written: {problem.strerror}", where=project.shown(folder)) from problem
    if (project.root / "dashboards" / "__main__.py").is_file():
        _start_program(project)
    return [*(folder / name for name in rules), *dashboard_files(project)]


def dashboard_files(project: Project) -> list[Path]:
    """The generated dashboards, by name."""
    return sorted((project.root / "dashboards" / "grafana").glob("*.json"))


def _start_program(project: Project) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "GRAFANA_TOKEN"}
    where = "python -m dashboards"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "dashboards"],
            cwd=project.root,
            env=kept,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROGRAM_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise UsageError(f"can't be run: {problem}", where=where) from problem
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise UsageError(last, where=where, remedy=f"run it in {project.root} to see all that it says")
