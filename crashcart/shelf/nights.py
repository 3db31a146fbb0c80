"""Suites: which there are, and what changed from one to the other."""

from __future__ import annotations

from pathlib import Path

import msgspec

from crashcart.model.errors import BadFile, UsageError
from crashcart.shelf.differences import Change, Way, way_of
from crashcart.shelf.keeping import SUITES, read_suite
from crashcart.shelf.kept import LATEST, PREVIOUS, find_folder, folders
from crashcart.shelf.pairs import compare_runs
from crashcart.shelf.settings import Setting
from crashcart.shelf.suite import Entry, Suite


class EntryDiff(msgspec.Struct, frozen=True):
    """One experiment of both suites."""

    experiment: str
    before: str
    """`pass`, `inconclusive, then pass`, `not run`."""
    after: str
    changes: tuple[Change, ...]
    settings: tuple[Setting, ...]
    note: str = ""
    """Why there is no more to say: a recording is gone."""


class SuiteDiff(msgspec.Struct, frozen=True):
    """What a morning wants to know."""

    before: Suite
    after: Suite
    entries: tuple[EntryDiff, ...]
    """Those in both, new failures first."""
    new: tuple[Entry, ...]
    missing: tuple[Entry, ...]


def suite_dirs(runs_dir: Path) -> list[Path]:
    """The newest first."""
    return sorted(folders(runs_dir / SUITES), key=lambda path: path.name, reverse=True)


def last_two(runs_dir: Path) -> tuple[Path | None, Path]:
    """(the one to compare with, the newest). The newest earlier one that was chosen the same way, else the one before.

    None for the first where there is no other. UsageError where there is none at all.
    """
    readable = [(path, suite) for path in suite_dirs(runs_dir) if (suite := _read_or_none(path)) is not None]
    if not readable:
        what = f"there are no suites below {runs_dir}"
        raise UsageError(what, remedy="run one: crashcart run --tag nightly")
    (newest, suite), *earlier = readable
    alike = [path for path, other in earlier if other.chosen_by == suite.chosen_by]
    before = alike[0] if alike else earlier[0][0] if earlier else None
    return before, newest


def find_suite(runs_dir: Path, wanted: str) -> Path:
    """A path, an id or its beginning, `latest`, `previous`. UsageError where there is none, or more than one."""
    if wanted in (LATEST, PREVIOUS):
        before, newest = last_two(runs_dir)
        found = newest if wanted == LATEST else before
        if found is None:
            raise UsageError("there is only one suite", remedy="run it once more, and there is something to compare")
        return found
    if (Path(wanted) / "summary.json").exists():
        return Path(wanted)
    return find_folder(suite_dirs(runs_dir), wanted, f"suite below {runs_dir}")


def compare_suites(runs_dir: Path, before: Path, after: Path) -> SuiteDiff:
    """Every experiment of both. BadFile where a summary can't be read."""
    was, now = read_suite(before), read_suite(after)
    old = {entry.experiment: entry for entry in was.entries}
    new = {entry.experiment: entry for entry in now.entries}
    both = [_entry(runs_dir, old[name], new[name]) for name in new if name in old]
    return SuiteDiff(
        before=was,
        after=now,
        entries=tuple(sorted(both, key=_urgency)),
        new=tuple(entry for name, entry in new.items() if name not in old),
        missing=tuple(entry for name, entry in old.items() if name not in new),
    )


def worst_way(entry: EntryDiff) -> Way | None:
    """Of all that changed; None where nothing did."""
    return entry.changes[0].way if entry.changes else None


def _entry(runs_dir: Path, was: Entry, now: Entry) -> EntryDiff:
    if was.last is None or now.last is None:
        return EntryDiff(now.experiment, was.course, now.course, (), (), "one of the suites ended before it")
    try:
        diff = compare_runs(_recording(runs_dir, was), _recording(runs_dir, now))
    except BadFile as error:
        return EntryDiff(now.experiment, was.course, now.course, _from_summaries(was, now), (), str(error))
    return EntryDiff(now.experiment, was.course, now.course, diff.changes, diff.settings)


def _from_summaries(was: Entry, now: Entry) -> tuple[Change, ...]:
    """What is known without the recordings."""
    before, after = was.last, now.last
    if before is None or after is None or before.outcome is after.outcome:
        return ()
    way = way_of(before.outcome, after.outcome)
    return (Change("verdict", "the run", way, before.outcome.value, after.outcome.value, after.headline),)


def _recording(runs_dir: Path, entry: Entry) -> Path:
    name = entry.last.recording if entry.last else ""
    if not name or not (runs_dir / name).is_dir():
        raise BadFile("its recording is gone", file=name or entry.experiment, line=None)
    return runs_dir / name


def _urgency(entry: EntryDiff) -> int:
    order: tuple[Way | None, ...] = ("new failure", "worse", "moved", "better", None)
    return order.index(worst_way(entry))


def _read_or_none(path: Path) -> Suite | None:
    try:
        return read_suite(path)
    except BadFile:
        return None
