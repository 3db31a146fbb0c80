"""What came of runs that were hit, one by one and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from crashcart.model.errors import ExitStatus
from crashcart.model.verdict import Outcome
from crashcart.reporting.words import NONE
from crashcart.selftest.campaign import CaseResult
from crashcart.selftest.striking import BOTH, DEEDS, KILL, TARGETS
from crashcart.selftest.telling import Report

HEAD = (
    *("target", "hit", "runs", "too late", "residue", "not looked at", "false passes", "verdicts"),
    "slowest clean-up",
)


class Fired(CaseResult, frozen=True, kw_only=True):
    """A run that was hit, or was to be."""

    target: str
    deed: str
    at_s: float | None
    """From the command's start; None where the run was over before."""
    stopped_s: float
    status: int | None
    """The command's exit status; −9 for SIGKILL, None where it had to be ended."""
    outcome: str
    """The verdict's; `none` where there is none."""
    why_no_pass: str
    """Why it must not pass; "" where it may."""
    clean_after_s: float | None
    left: tuple[str, ...]
    """Of the run, after all that time."""
    not_looked_at: tuple[str, ...]
    """What may have been left: nobody could look."""


def is_false_pass(fired: Fired) -> bool:
    """Whether somebody was told, by a verdict or by the exit status, that all is well, who must not be."""
    passed = fired.outcome == Outcome.PASS.value or fired.status == ExitStatus.PASS
    return passed and bool(fired.why_no_pass)


def line_of(fired: Fired) -> str:
    """In a line, for people."""
    if fired.at_s is None:
        return f"the run was over before; {fired.outcome}"
    how = f"{fired.deed} at {fired.at_s:.1f} s" + (f" for {fired.stopped_s:.1f} s" if fired.stopped_s else "")
    return f"{how}; exit status {fired.status}, verdict {fired.outcome}, {_how_clean(fired)}"


def _how_clean(fired: Fired) -> str:
    if fired.left:
        return "not clean"
    if fired.clean_after_s is None:
        return "nobody knows whether it is clean"
    return f"clean after {fired.clean_after_s:.1f} s" + ("" if fired.recording else ", without a recording")


def report_on(results: Mapping[str, Fired]) -> Report:
    """Target × deed, and what came of it."""
    rows = []
    for target, deed in [*((target, deed) for target in TARGETS for deed in DEEDS), (BOTH, KILL)]:
        of_kind = [one for one in results.values() if (one.target, one.deed) == (target, deed)]
        if of_kind:
            rows.append(_row(target, deed, of_kind))
    hit = [one for one in results.values() if one.at_s is not None]
    left = sum(bool(one.left) for one in hit)
    lies = sum(is_false_pass(one) for one in hit)
    unknown = sum(bool(one.not_looked_at) for one in hit)
    unrecorded = sum(not one.recording for one in hit)
    return Report(
        title="Under fire: a part of the harness is hit at any moment",
        head=HEAD,
        rows=tuple(rows),
        says=(
            f"{len(hit)} runs were hit, {len(results) - len(hit)} were over before.",
            f"{left} left something behind; the slowest clean-up took {_slowest(hit)}.",
            f"Of {unknown} nobody could look whether they did.",
            f"{unrecorded} were hit before there was a recording: what they left was looked for without one.",
            f"{lies} passed that must not.",
        ),
        found=tuple(what for one in results.values() for what in one.found),
    )


def _row(target: str, deed: str, fired: Sequence[Fired]) -> tuple[str, ...]:
    hit = [one for one in fired if one.at_s is not None]
    verdicts = Counter(_verdict(one) for one in hit)
    return (
        target,
        deed,
        str(len(hit)),
        str(len(fired) - len(hit)),
        str(sum(bool(one.left) for one in hit)),
        str(sum(bool(one.not_looked_at) for one in hit)),
        str(sum(is_false_pass(one) for one in hit)),
        ", ".join(f"{word} {count}" for word, count in sorted(verdicts.items())) or NONE,
        _slowest(hit),
    )


def _slowest(hit: Sequence[Fired]) -> str:
    """Of those that were seen to be clean."""
    slowest = max((one.clean_after_s for one in hit if one.clean_after_s is not None), default=None)
    return NONE if slowest is None else f"{slowest:.1f} s"


def _verdict(fired: Fired) -> str:
    """The verdict in a word; `none` where the harness was killed before it came to one."""
    return "interrupted" if fired.status == ExitStatus.INTERRUPTED else fired.outcome
