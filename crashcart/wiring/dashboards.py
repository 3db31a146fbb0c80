"""A project's dashboards and rules: written from its files, and put into a Grafana."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from crashcart.burnrates import WRITTEN_BY, rules_text
from crashcart.grafana import TOKEN_VARIABLE, Grafana, Note, notes_of
from crashcart.loading import Project
from crashcart.model.errors import BadFile, UsageError
from crashcart.model.recording import FILES, Event, Manifest
from crashcart.prometheus import SCRAPE_INTERVAL_S

_PROGRAM_TIMEOUT_S = 120.0
_UID, _TITLE = "crashcart", "crashcart"
"""Of the folder and the data source."""


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


def push_dashboards(
    project: Project, grafana_url: str, prometheus_url: str, recordings: Sequence[Path], say: Callable[[str], None]
) -> None:
    """Put the project's dashboards, a data source for them and annotations of runs into a live Grafana.

    Everything of ours is read before anything is sent; what was there from an earlier push is replaced.

    Raises:
        UsageError: a file of ours or Grafana's answer is wrong, with what to do about it.
    """
    dashboards = [_read_dashboard(project, path) for path in dashboard_files(project)]
    if not dashboards:
        raise UsageError("there are no dashboards to push", remedy="crashcart dashboards build")
    runs = [_read_run(recording) for recording in recordings]
    grafana = Grafana(grafana_url, os.environ.get(TOKEN_VARIABLE, ""))
    say(f"Grafana {grafana.version()}")
    grafana.put_folder(_UID, _TITLE)
    grafana.put_prometheus(_UID, _TITLE, prometheus_url, f"{SCRAPE_INTERVAL_S:g}s")
    for dashboard in dashboards:
        say(f"{dashboard['title']:<12} {grafana.put_dashboard(dashboard, _UID)}")
    for run_id, notes in runs:
        grafana.put_notes(run_id, notes)
        say(f"{run_id}: {len(notes)} annotations")


def _read_dashboard(project: Project, path: Path) -> dict[str, Any]:
    remedy = "crashcart dashboards build"
    try:
        dashboard = json.loads(path.read_bytes())
    except json.JSONDecodeError as problem:
        raise BadFile(
            f"not JSON: {problem.msg}", file=project.shown(path), line=problem.lineno, remedy=remedy
        ) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise BadFile(f"can't be read: {problem}", file=project.shown(path), line=None, remedy=remedy) from problem
    texts = [dashboard.get(name) for name in ("uid", "title")] if isinstance(dashboard, dict) else [None]
    if not all(isinstance(text, str) and text for text in texts):
        raise BadFile("not a dashboard with a uid and a title", file=project.shown(path), line=None, remedy=remedy)
    whole: dict[str, Any] = dashboard
    return whole


def _read_run(recording: Path) -> tuple[str, list[Note]]:
    from crashcart.shelf.pairs import verdict_of

    verdict = verdict_of(recording)
    try:
        manifest = msgspec.json.decode((recording / FILES["manifest"]).read_bytes(), type=Manifest)
        lines = (recording / FILES["events"]).read_bytes().splitlines()
        return manifest.run_id, notes_of(manifest, [msgspec.json.decode(line, type=Event) for line in lines], verdict)
    except (OSError, ValueError, KeyError, msgspec.MsgspecError) as problem:
        what = f"the recording can't be read: {problem}"
        raise BadFile(what, file=recording, line=None, remedy="leave it out, or name another with --run") from problem


def _start_program(project: Project) -> None:
    kept = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
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
