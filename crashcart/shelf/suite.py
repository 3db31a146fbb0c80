"""Several runs as one: `runs/suites/<UTC>/summary.json`."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from crashcart.model.errors import ExitStatus
from crashcart.model.verdict import Outcome

SUITE_FORMAT = "crashcart/suite/v1"

_WORST_FIRST = (
    ExitStatus.NOT_UNDONE,
    ExitStatus.OURS,
    ExitStatus.GUARDRAIL,
    ExitStatus.FAIL,
    ExitStatus.INTERRUPTED,
    ExitStatus.INCONCLUSIVE,
)


class Attempt(msgspec.Struct, frozen=True):
    """One run of one experiment."""

    run_id: str
    recording: str
    """Below the runs folder: `steady-state/20261122T080000Z-7f3a`. Empty where there is none."""
    outcome: Outcome
    exit_status: int
    headline: str
    worst: str
    """The worst thing about it, in one line."""
    ended: str
    """As in the verdict; `broken` where there is no verdict."""
    recovered_after_s: float | None
    purchases_lost: int | None
    took_s: float
    """From before its folder was made until its reports were written."""
    overhead_s: float | None
    """All of that but the timeline; None where the timeline did not go to its end."""


class Entry(msgspec.Struct, frozen=True):
    """One experiment of a suite."""

    experiment: str
    file: str
    timeline_s: float
    attempts: tuple[Attempt, ...] = ()
    """In order; the last one counts. None where the suite ended before."""

    @property
    def last(self) -> Attempt | None:
        """The one that counts."""
        return self.attempts[-1] if self.attempts else None

    @property
    def outcome(self) -> Outcome | None:
        """Of the last attempt; None where there was none."""
        return self.attempts[-1].outcome if self.attempts else None

    @property
    def course(self) -> str:
        """`pass`, or `inconclusive, then pass`; `not run`."""
        return ", then ".join(attempt.outcome.value for attempt in self.attempts) or "not run"


class Suite(msgspec.Struct, frozen=True):
    """What came of all of them."""

    format: str
    suite_id: str
    chosen_by: str
    """As it was asked for: `--tag nightly`."""
    started_wall: str
    finished_wall: str
    took_s: float
    ended: str
    """`completed`, `interrupted`, `fail-fast`, or `broken`: it ended before its last experiment."""
    exit_status: int
    commit: str
    crashcart_version: str
    overrides: tuple[str, ...]
    entries: tuple[Entry, ...]

    @property
    def overheads_s(self) -> tuple[float, ...]:
        """Of every attempt whose timeline went to its end."""
        found = (attempt.overhead_s for entry in self.entries for attempt in entry.attempts)
        return tuple(one for one in found if one is not None)


def worst_status(statuses: Iterable[int]) -> ExitStatus:
    """Of several, 5 > 70 > 4 > 1 > 130 > 3 > 0."""
    found = set(statuses)
    unlisted = found - {ExitStatus.PASS, *_WORST_FIRST}
    if unlisted:
        found.add(ExitStatus.OURS)  # nobody knows what it means: it is no pass
    return next((status for status in _WORST_FIRST if status in found), ExitStatus.PASS)
