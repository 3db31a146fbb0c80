"""Under fire: parts of the harness are hit at any moment of a run. Nothing may stay behind, nothing may be a lie."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from crashcart.loading import Project
from crashcart.model.errors import CrashcartError, ExitStatus
from crashcart.model.verdict import Outcome
from crashcart.selftest.campaign import Campaign, CaseResult, carry_out
from crashcart.selftest.deriving import write_short
from crashcart.selftest.fired import Fired, is_false_pass, line_of, report_on
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
    DEEDS,
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
from crashcart.selftest.unrecorded import Before, look_before, wait_until_unrecorded_is_clean

NAME = "fire"
FULL = 200
CLEAN_WITHIN_S = 5.0
"""After the harness has gone, however it went, nothing of the run is there any more."""
RECOVERED_WITHIN_S = 0.5
"""After `crashcart recover`, at once."""
STOPPED_S = (1.0, 6.0)
OVERTIME_S = 90.0
"""So much longer than an undisturbed one a run may take: questions that time out, undoing that is given up, books."""
KINDS = (*((TARGETS[number % 5], DEEDS[number % 3]) for number in range(15)), (BOTH, KILL))
"""Every part in every way, and what lies side by side differs in both: a few cases are a mixed lot."""


class NotCalm(CrashcartError):
    """A run that nobody hits does not pass: nothing can be said of those that are hit."""

    exit_status = ExitStatus.INCONCLUSIVE


class Calm(CaseResult, frozen=True, kw_only=True):
    """The run that nobody hits: from when to when each part is there, in seconds from the command's start."""

    took_s: float
    lives: dict[str, tuple[float, float]]


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
    before = look_before(tempfile.gettempdir())
    with started(bench, f"{NAME}-{case}", range_.experiment, "--runtime", "local") as run:
        scene = Scene(run)
        hit = carry_out_strike(scene, strike)
        ran = _wait(run, range_.calm.took_s + OVERTIME_S)
    if ran is not None and ran.recording is None:
        refuse_refused(ran)
    recovered = call(bench, "recover") if strike.target == BOTH and hit is not None else None
    within_s = CLEAN_WITHIN_S if recovered is None else RECOVERED_WITHIN_S
    residue = _residue(scene, before, within_s)
    fired = _fired(range_, strike, run, hit, ran, residue)
    found = tuple(_what_must_not_be(case, fired, ran))
    if recovered is not None and recovered.status != ExitStatus.PASS:
        found = (*found, f"{case}: `crashcart recover` ended with {recovered.status}: {recovered.said}")
    return msgspec.structs.replace(fired, line=line_of(fired), found=found)


def _residue(scene: Scene, before: Before, within_s: float) -> Residue:
    """Of a run that was hit before it had a recording, too."""
    recording = scene.run.recording()
    if recording is None:
        return wait_until_unrecorded_is_clean(scene.run, before, scene.known, within_s)
    return wait_until_clean(recording, scene.temporary, scene.known, within_s)


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
        not_looked_at=residue.not_looked_at,
    )


def _what_must_not_be(case: str, fired: Fired, ran: Ran | None) -> Sequence[str]:
    found = []
    if fired.left:
        found.append(f"{case}: left behind: {'; '.join(fired.left)}")
    if fired.not_looked_at:
        found.append(f"{case}: nobody knows whether something was left: {'; '.join(fired.not_looked_at)}")
    if is_false_pass(fired):
        found.append(f"{case}: it passed, although {fired.why_no_pass}")
    if ran is None:
        found.append(f"{case}: it did not end by itself")
    elif ran.status in (ExitStatus.NOT_UNDONE, ExitStatus.OURS, ExitStatus.USAGE):
        found.append(f"{case}: it ended with {ran.status}: {ran.said}")
    elif ran.status == ExitStatus.PASS and fired.outcome != Outcome.PASS.value:
        found.append(f"{case}: exit status 0, and the verdict is {fired.outcome}")
    return found
