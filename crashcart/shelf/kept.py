"""Recordings below `runs/`: what each one is, read fast, whatever state it is in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from crashcart.model.errors import UsageError
from crashcart.model.hints import did_you_mean
from crashcart.model.recording import FILES, RECORDING_FORMAT
from crashcart.model.verdict import VERDICT_FORMAT, Outcome
from crashcart.safety.active import active_runs

NOT_EXPERIMENTS = ("latest", "suites")
LATEST, PREVIOUS = "latest", "previous"

State = Literal["judged", "not judged", "under way", "cut short", "newer", "unreadable"]


class Kept(msgspec.Struct, frozen=True):
    """One recording, in a line."""

    path: Path
    experiment: str
    run_id: str
    state: State
    note: str
    """What is the matter with it, where something is."""
    bytes: int
    outcome: Outcome | None = None
    exit_status: int | None = None
    headline: str = ""
    ended: str = ""
    commit: str = ""
    started_wall: str = ""
    took_s: float | None = None


class _Manifest(msgspec.Struct, frozen=True):
    format: str = ""
    ended: str = ""
    commit: str = ""
    started_wall: str = ""
    finished_wall: str = ""


class _Verdict(msgspec.Struct, frozen=True):
    outcome: Outcome
    exit_status: int
    headline: str
    ended: str
    format: str = ""


_manifests = msgspec.json.Decoder(_Manifest)
_verdicts = msgspec.json.Decoder(_Verdict)


def recording_dirs(runs_dir: Path, experiment: str = "") -> list[Path]:
    """Folders of recordings, the newest first (their names are UTC times). Links are not followed."""
    found = [
        run
        for folder in folders(runs_dir)
        if folder.name not in NOT_EXPERIMENTS and experiment in ("", folder.name)
        for run in folders(folder)
        if (run / FILES["plan"]).exists() or (run / FILES["events"]).exists()
    ]
    return sorted(found, key=lambda run: (run.name, run.parent.name), reverse=True)


def read_kept(runs_dir: Path, experiment: str = "", limit: int | None = None) -> list[Kept]:
    """The newest recordings, newest first. UsageError where none is of that experiment."""
    found = recording_dirs(runs_dir, experiment)
    if experiment and not found:
        names = sorted({run.parent.name for run in recording_dirs(runs_dir)})
        remedy = did_you_mean(experiment, names, "experiments that were recorded")
        raise UsageError(f"there is no recording of {experiment!r}", remedy=remedy)
    under_way = {Path(run.recording).resolve() for run in active_runs()}
    return [describe(run, under_way=run.resolve() in under_way) for run in found[:limit]]


def describe(path: Path, *, under_way: bool = False) -> Kept:
    """What a folder holds. Never an error: what can't be read is said so."""
    state, note, manifest = _manifest(path, under_way=under_way)
    verdict, spoilt = _verdict(path)
    if state == "judged" and verdict is None:
        state, note = ("unreadable", spoilt) if spoilt else ("not judged", "crashcart judge it")
    kept = Kept(path, path.parent.name, path.name, state, note, size_bytes(path))
    if manifest is not None:
        kept = msgspec.structs.replace(
            kept, commit=manifest.commit, started_wall=manifest.started_wall, took_s=_took_s(manifest)
        )
    if verdict is not None and state in ("judged", "cut short"):
        kept = msgspec.structs.replace(
            kept,
            outcome=verdict.outcome,
            exit_status=verdict.exit_status,
            headline=verdict.headline,
            ended=verdict.ended,
        )
    return kept


def find(runs_dir: Path, wanted: str, *, before: Path | None = None) -> Path:
    """The recording that is meant: a path, an id or its beginning, an experiment (its latest), `latest`, `previous`.

    `previous` is the one before `before` of the same experiment (before the latest, where that is not given).

    Raises:
        UsageError: there is none, or more than one.
    """
    if wanted == LATEST:
        return _latest(runs_dir)
    if wanted == PREVIOUS:
        return _previous(runs_dir, before or _latest(runs_dir))
    as_path = Path(wanted)
    if (as_path / FILES["plan"]).exists() or (as_path / FILES["events"]).exists():
        return as_path.resolve()
    every = recording_dirs(runs_dir)
    of_experiment = [run for run in every if run.parent.name == wanted]
    return of_experiment[0] if of_experiment else find_folder(every, wanted, f"recording below {runs_dir}")


def find_folder(every: Sequence[Path], wanted: str, what: str) -> Path:
    """The one whose name, or `parent/name`, begins so. UsageError where there is none, or more than one."""
    matches = [one for one in every if wanted and (one.name.startswith(wanted) or _in_folder(one).startswith(wanted))]
    if len(matches) == 1:
        return matches[0]
    if matches:
        ids = ", ".join(_in_folder(one) for one in matches[:5])
        raise UsageError(f"{wanted!r} is the beginning of {len(matches)} names: {ids}", remedy="write more of it")
    known = ", ".join(_in_folder(one) for one in every[:5])
    remedy = f"the newest: {known}" if known else "there is none yet: crashcart run EXPERIMENT"
    raise UsageError(f"there is no {what} that is named {wanted!r}", remedy=remedy)


def folders(folder: Path) -> Iterator[Path]:
    """Those in it. Links are not followed; none where there is no such folder. UsageError where it can't be read."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    yield Path(entry.path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(folder)) from error


def size_bytes(folder: Path) -> int:
    """Of all files in it."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += size_bytes(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:  # it goes away under our eyes, or is another's
        return total
    return total


def _in_folder(run: Path) -> str:
    return f"{run.parent.name}/{run.name}"


def _latest(runs_dir: Path) -> Path:
    found = recording_dirs(runs_dir)
    if not found:
        raise UsageError(f"there are no recordings below {runs_dir}", remedy="crashcart run EXPERIMENT")
    return found[0]


def _previous(runs_dir: Path, before: Path) -> Path:
    earlier = [run for run in recording_dirs(runs_dir, before.parent.name) if run.name < before.name]
    if not earlier:
        what = f"there is no recording of {before.parent.name} before {before.name}"
        raise UsageError(
            what, remedy=f"run it once more, or name another: crashcart runs --experiment {before.parent.name}"
        )
    return earlier[0]


def _manifest(path: Path, *, under_way: bool) -> tuple[State, str, _Manifest | None]:
    """The state as far as the manifest tells it: `judged` where it tells of nothing else."""
    try:
        manifest = _manifests.decode((path / FILES["manifest"]).read_bytes())
    except FileNotFoundError:
        return (
            ("under way", "", None) if under_way else ("cut short", "no manifest.json: it did not end by itself", None)
        )
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        return "unreadable", f"manifest.json: {error}", None
    if manifest.format == RECORDING_FORMAT:
        return "judged", "", manifest
    if re.fullmatch(r"crashcart/recording/v\d+", manifest.format):
        return "newer", f"its format is {manifest.format}, this crashcart reads {RECORDING_FORMAT}", None
    return "unreadable", f"manifest.json: format {manifest.format!r} is not a recording's", None


def _verdict(path: Path) -> tuple[_Verdict | None, str]:
    try:
        verdict = _verdicts.decode((path / FILES["verdict"]).read_bytes())
    except FileNotFoundError:
        return None, ""
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        return None, f"verdict.json: {error}"
    if verdict.format != VERDICT_FORMAT:
        return None, f"verdict.json is of the format {verdict.format!r}"
    return verdict, ""


def _took_s(manifest: _Manifest) -> float | None:
    try:
        ended, began = datetime.fromisoformat(manifest.finished_wall), datetime.fromisoformat(manifest.started_wall)
    except ValueError:
        return None
    return (ended - began).total_seconds()
