"""Under fire: parts of the harness are hit at any moment of a run. Nothing may stay behind, nothing may be a lie."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from crashcart.loading import Project
from crashcart.model.errors import CrashcartError, ExitStatus
from crashcart.model.verdict import Outcome
from crashcart.reporting.words import NONE
from crashcart.selftest.campaign import Campaign, CaseResult, carry_out
from crashcart.selftest.deriving import write_short
from crashcart.selftest.launching import (
    Bench,
    Ran,
    Started,
    TooLong,
    call,
    outcome_of,
    refuse_refused,
    started,
)
from crashcart.selftest.passing import must_not_pass, read_course
from crashcart.selftest.residue import Residue, wait_until_clean
from crashcart.selftest.striking import (
    BOTH,
    INTERRUPT,
    KILL,
    STOP,
    TARGETS,
    WATCHDOG,
    Hit,
    Scene,
    Strike,
    carry_out_strike,
    watch_lives,
)
from crashcart.selftest.telling import Report

NAME = "fire"
FULL = 200
CLEAN_WITHIN_S = 5.0
"""After the harness has gone, however it went, nothing of the run is there any more."""
RECOVERED_WITHIN_S = 0.5
"""After `crashcart recover`, at once."""
STOPPED_S = (1.0, 6.0)
OVERTIME_S = 90.0
"""So much longer than an undisturbed one a run may take: questions that time out, undoing that is given up, books."""
_DEEDS = (KILL, INTERRUPT, STOP)
KINDS = (*((TARGETS[number % 5], _DEEDS[number % 3]) for number in range(15)), (BOTH, KILL))
"""Every part in every way, and what lies side by side differs in both: a few cases are a mixed lot."""


class NotCalm(CrashcartError):
    """A run that nobody hits does not pass: nothing can be said of those that are hit."""

    exit_status = ExitStatus.INCONCLUSIVE


class Calm(CaseResult, frozen=True, kw_only=True):
    """The run that nobody hits: from when to when each part is there, in seconds from the command's start."""

    took_s: float
    lives: dict[str, tuple[float, float]]


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


@dataclass(frozen=True, slots=True)
class _Range:
    """All that the cases share."""

    bench: Bench
    experiment: str
    seed: int
    calm: Calm


def endure(
    bench: Bench,
    project: Project,
    experiment: str,
    runs: int,
    overrides: Sequence[str],
    tell: Callable[[str], None],
    *,
    seed: int = 1,
) -> Report:
    """Run the experiment, shortened, so often; hit a part of the harness each time, every kind of hit in turn.

    Raises NotCalm where it does not pass when nobody hits it.
    """
    file = str(write_short(project.experiment(experiment, overrides), bench.out / "experiments"))
    asked = {"experiment": experiment, "overrides": " ".join(overrides), "seed": str(seed), **bench.same}
    calm = Campaign(f"{NAME}-calm", asked, ("calm",), Calm, partial(_run_calm, bench, file))
    quiet = carry_out(calm, bench.out, tell)["calm"]
    strikes = {_case(number, *kind): kind for number, kind in _in_turn(runs)}
    campaign = Campaign(
        NAME, asked, tuple(strikes), Fired, partial(_run_hit, _Range(bench, file, seed, quiet), strikes)
    )
    return report_on(carry_out(campaign, bench.out, tell))


def _in_turn(runs: int) -> Sequence[tuple[int, tuple[str, str]]]:
    return [(number, KINDS[(number - 1) % len(KINDS)]) for number in range(1, runs + 1)]


def _case(number: int, target: str, deed: str) -> str:
    return f"{number:03}-{deed}-{target.replace(' ', '-')}"


def _run_calm(bench: Bench, file: str, case: str) -> Calm:
    with started(bench, f"{NAME}-{case}", file, "--runtime", "local") as run:
        lives = watch_lives(Scene(run))
        ran = run.wait()
    refuse_refused(ran)
    if ran.status != ExitStatus.PASS:
        remedy = "run it by itself: crashcart run EXPERIMENT; then start the selftest again"
        raise NotCalm(f"the run that nobody hits ended with {ran.status}:\n{ran.said}", remedy=remedy)
    assert set(lives) == set(TARGETS), f"all parts were seen: {sorted(lives)}"
    return Calm(line=f"pass, {ran.took_s:.0f} s", recording=bench.inside(ran.recording), took_s=ran.took_s, lives=lives)


def draw_strike(seed: int, case: str, target: str, deed: str, lives: Mapping[str, tuple[float, float]]) -> Strike:
    """At any moment of the part's life alike. The same for the same seed, case and lives."""
    drawn = random.Random(f"{seed}/{case}")
    first_s, last_s = lives[WATCHDOG if target == BOTH else target]
    at_s = first_s + drawn.random() * (last_s - first_s)
    return Strike(target, deed, round(at_s, 3), round(drawn.uniform(*STOPPED_S), 3) if deed == STOP else 0.0)


def _run_hit(range_: _Range, strikes: Mapping[str, tuple[str, str]], case: str) -> Fired:
    bench, strike = range_.bench, draw_strike(range_.seed, case, *strikes[case], range_.calm.lives)
    with started(bench, f"{NAME}-{case}", range_.experiment, "--runtime", "local") as run:
        scene = Scene(run)
        hit = carry_out_strike(scene, strike)
        ran = _wait(run, range_.calm.took_s + OVERTIME_S)
    if ran is not None and ran.recording is None:
        refuse_refused(ran)
    recovered = call(bench, "recover") if strike.target == BOTH and hit is not None else None
    within_s = CLEAN_WITHIN_S if recovered is None else RECOVERED_WITHIN_S
    recording = run.recording()
    residue = (
        Residue((), 0.0) if recording is None else wait_until_clean(recording, scene.temporary, scene.known, within_s)
    )
    fired = _fired(range_, strike, run, hit, ran, residue)
    found = tuple(_what_must_not_be(case, fired, ran))
    if recovered is not None and recovered.status != ExitStatus.PASS:
        found = (*found, f"{case}: `crashcart recover` ended with {recovered.status}: {recovered.said}")
    return msgspec.structs.replace(fired, line=_line(fired), found=found)


def _wait(run: Started, within_s: float) -> Ran | None:
    try:
        return run.wait(within_s)
    except TooLong:
        return None


def _fired(range_: _Range, strike: Strike, run: Started, hit: Hit | None, ran: Ran | None, residue: Residue) -> Fired:
    recording = run.recording()
    verdict = ran.verdict if ran is not None else None
    must_not = must_not_pass(hit, read_course(recording)) if hit is not None and recording is not None else ""
    return Fired(
        line="",
        recording=range_.bench.inside(recording),
        target=strike.target,
        deed=strike.deed,
        at_s=None if hit is None else round(hit.from_mono_s - run.began_mono_s, 2),
        stopped_s=strike.stopped_s,
        status=None if ran is None else ran.status,
        outcome=outcome_of(verdict),
        why_no_pass=must_not,
        clean_after_s=residue.clean_after_s,
        left=residue.left,
    )


def _what_must_not_be(case: str, fired: Fired, ran: Ran | None) -> Sequence[str]:
    found = []
    if fired.left:
        found.append(f"{case}: left behind: {'; '.join(fired.left)}")
    if is_false_pass(fired):
        found.append(f"{case}: it passed, although {fired.why_no_pass}")
    if ran is None:
        found.append(f"{case}: it did not end by itself")
    elif ran.status in (ExitStatus.NOT_UNDONE, ExitStatus.OURS, ExitStatus.USAGE):
        found.append(f"{case}: it ended with {ran.status}: {ran.said}")
    elif ran.status == ExitStatus.PASS and fired.outcome != Outcome.PASS.value:
        found.append(f"{case}: exit status 0, and the verdict is {fired.outcome}")
    return found


def is_false_pass(fired: Fired) -> bool:
    """Whether somebody was told, by a verdict or by the exit status, that all is well, who must not be."""
    passed = fired.outcome == Outcome.PASS.value or fired.status == ExitStatus.PASS
    return passed and bool(fired.why_no_pass)


def _line(fired: Fired) -> str:
    if fired.at_s is None:
        return f"the run was over before; {fired.outcome}"
    how = f"{fired.deed} at {fired.at_s:.1f} s" + (f" for {fired.stopped_s:.1f} s" if fired.stopped_s else "")
    clean = NONE if fired.clean_after_s is None else f"clean after {fired.clean_after_s:.1f} s"
    return f"{how}; exit status {fired.status}, verdict {fired.outcome}, {clean}"


def report_on(results: Mapping[str, Fired]) -> Report:
    """Target × deed, and what came of it."""
    rows = []
    for target, deed in [*((target, deed) for target in TARGETS for deed in _DEEDS), (BOTH, KILL)]:
        of_kind = [one for one in results.values() if (one.target, one.deed) == (target, deed)]
        if of_kind:
            rows.append(_row(target, deed, of_kind))
    hit = [one for one in results.values() if one.at_s is not None]
    left = sum(bool(one.left) for one in hit)
    lies = sum(is_false_pass(one) for one in hit)
    slowest = max((one.clean_after_s for one in hit if one.clean_after_s is not None), default=0.0)
    return Report(
        title="Under fire: a part of the harness is hit at any moment",
        head=("target", "hit", "runs", "too late", "residue", "false passes", "verdicts", "slowest clean-up"),
        rows=tuple(rows),
        says=(
            f"{len(hit)} runs were hit, {len(results) - len(hit)} were over before.",
            f"{left} left something behind; the slowest was clean {slowest:.1f} s after its end.",
            f"{lies} passed that must not.",
        ),
        found=tuple(what for one in results.values() for what in one.found),
    )


def _row(target: str, deed: str, fired: Sequence[Fired]) -> tuple[str, ...]:
    hit = [one for one in fired if one.at_s is not None]
    verdicts = Counter(_verdict(one) for one in hit)
    slowest = max((one.clean_after_s for one in hit if one.clean_after_s is not None), default=None)
    return (
        target,
        deed,
        str(len(hit)),
        str(len(fired) - len(hit)),
        str(sum(bool(one.left) for one in hit)),
        str(sum(is_false_pass(one) for one in hit)),
        ", ".join(f"{word} {count}" for word, count in sorted(verdicts.items())) or NONE,
        NONE if slowest is None else f"{slowest:.1f} s",
    )


def _verdict(fired: Fired) -> str:
    """The verdict in a word; `none` where the harness was killed before it came to one."""
    return "interrupted" if fired.status == ExitStatus.INTERRUPTED else fired.outcome
