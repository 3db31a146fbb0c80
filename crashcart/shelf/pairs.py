"""Two recordings side by side."""

from __future__ import annotations

from pathlib import Path

import msgspec

from crashcart.model.errors import BadFile
from crashcart.model.recording import FILES
from crashcart.model.verdict import Outcome, Verdict
from crashcart.reporting.jsonfile import read_verdict
from crashcart.shelf.differences import Change, changes
from crashcart.shelf.settings import Setting, settings_that_differ


class Side(msgspec.Struct, frozen=True):
    """One of the two."""

    path: Path
    experiment: str
    run_id: str
    outcome: Outcome
    exit_status: int
    headline: str


class RunDiff(msgspec.Struct, frozen=True):
    """What was different, and what came of it."""

    before: Side
    after: Side
    settings: tuple[Setting, ...]
    changes: tuple[Change, ...]
    objectives_compared: int

    @property
    def same_experiment(self) -> bool:
        """Whether these are two runs of one experiment."""
        return self.before.experiment == self.after.experiment


def compare_runs(before: Path, after: Path) -> RunDiff:
    """Of two recordings that were judged. BadFile where one can't be read."""
    was, now = verdict_of(before), verdict_of(after)
    return RunDiff(
        before=_side(before, was),
        after=_side(after, now),
        settings=settings_that_differ(before, after),
        changes=changes(was, now),
        objectives_compared=len({one.id for one in was.objectives} & {one.id for one in now.objectives}),
    )


def verdict_of(recording: Path) -> Verdict:
    """As it was judged. BadFile says what to do where it was not."""
    path = recording / FILES["verdict"]
    if not path.exists():
        whole = (recording / FILES["manifest"]).exists()
        what = "it was not judged" if whole else "the recording was cut short, and has no verdict"
        raise BadFile(
            what, file=recording, line=None, remedy=f"crashcart judge {recording}" if whole else "run it again"
        )
    return read_verdict(path)


def _side(path: Path, verdict: Verdict) -> Side:
    return Side(path, verdict.experiment, path.name, verdict.outcome, verdict.exit_status, verdict.headline)
