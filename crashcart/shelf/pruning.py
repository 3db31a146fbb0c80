"""Which recordings may go, and letting them go. What is still needed stays, whatever was asked for."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from crashcart.model.errors import BadFile, CrashcartError, UsageError
from crashcart.model.recording import FILES
from crashcart.safety.active import active_runs
from crashcart.safety.faultlog import open_steps, read_log
from crashcart.shelf.kept import recording_dirs, size_bytes
from crashcart.shelf.nights import suite_dirs

NIGHTS = 2
"""As many suites are kept in any case: `crashcart diff last-night` compares them."""
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is to be kept: the newest `keep` of each experiment, or what is younger than `older_than_s`."""

    keep: int | None = None
    older_than_s: float | None = None

    def lets_go(self, place: int, age_s: float | None) -> bool:
        """Of the `place`-th newest (0 is the newest). Without a known age it is not old."""
        if self.keep is not None and place < self.keep:
            return False
        return self.older_than_s is None or (age_s is not None and age_s > self.older_than_s)


@dataclass(frozen=True, slots=True)
class Going:
    """One folder that may go."""

    path: Path
    bytes: int


@dataclass(frozen=True, slots=True)
class Staying:
    """One that would go by the rule, and why it stays."""

    path: Path
    why: str


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What would be done."""

    going: tuple[Going, ...]
    staying: tuple[Staying, ...]

    @property
    def bytes(self) -> int:
        """To be freed."""
        return sum(one.bytes for one in self.going)


def plan_prune(runs_dir: Path, rule: Rule, now: datetime) -> PrunePlan:
    """Recordings and suites below `runs_dir`. Never the latest of an experiment, nor one that is still needed."""
    going: list[Path] = []
    staying: list[Staying] = []
    needed = _needed(runs_dir)
    by_experiment: dict[str, list[Path]] = {}
    for run in recording_dirs(runs_dir):
        by_experiment.setdefault(run.parent.name, []).append(run)
    for runs in by_experiment.values():
        judged = next((run for run in runs if (run / FILES["verdict"]).exists()), None)
        for place, run in enumerate(runs):
            if not rule.lets_go(place, _age_s(run.name, now)):
                continue
            latest = "the latest of its experiment" if place == 0 or run == judged else ""
            why = latest or needed.get(run.resolve()) or _open_faults(run)
            if why:
                staying.append(Staying(run, why))
            else:
                going.append(run)
    for place, suite in enumerate(suite_dirs(runs_dir)):
        if place >= NIGHTS and rule.lets_go(place, _age_s(suite.name, now)):
            going.append(suite)
    return PrunePlan(tuple(Going(path, size_bytes(path)) for path in going), tuple(staying))


def prune(plan: PrunePlan) -> int:
    """Remove what is going; the bytes freed. CrashcartError where something can't be removed."""
    freed = 0
    for one in plan.going:
        try:
            shutil.rmtree(one.path)
        except OSError as error:
            what = f"cannot be removed: {error.strerror}"
            raise CrashcartError(what, where=str(one.path), remedy=f"{freed} bytes were freed before") from error
        freed += one.bytes
        _remove_if_empty(one.path.parent)
    return freed


def parse_age_s(text: str) -> float:
    """`14d`, `36h`, `90m` → seconds. UsageError where it is none."""
    units = {"d": 86_400.0, "h": 3_600.0, "m": 60.0}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not (number.isascii() and number.isdecimal()):
        raise UsageError(f"{text!r} is not an age", remedy="write a number and a unit: 14d, 36h or 90m")
    return int(number) * units[unit]


def began_at(name: str) -> datetime | None:
    """The time in a recording's or suite's name; None where it has none."""
    try:
        return datetime.strptime(name[:16], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def _age_s(name: str, now: datetime) -> float | None:
    began = began_at(name)
    return (now - began).total_seconds() if began else None


def _needed(runs_dir: Path) -> dict[Path, str]:
    latest = runs_dir / "latest"
    needed = {latest.resolve(): "runs/latest points to it"} if latest.is_symlink() else {}
    return needed | {Path(run.recording).resolve(): "it is under way, or not recovered" for run in active_runs()}


def _open_faults(run: Path) -> str:
    """Why the fault log says that it is still needed; empty where it does not."""
    try:
        still_open = open_steps(read_log(run / FILES["faultlog"]))
    except (BadFile, OSError):
        return "its fault log can't be read: something may still be broken"
    return f"its fault log is open: {still_open[0]}" if still_open else ""


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # it holds others
        return
