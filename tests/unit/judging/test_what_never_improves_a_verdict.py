"""More bad events never make a verdict better. Nor do fewer data: see the tests of what is lost."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from crashcart.judging.counters import Counters
from crashcart.judging.numbers import enough, met
from crashcart.judging.objectives import Tally, judge_objectives
from crashcart.judging.recovery import Goodput, judge_recovery
from crashcart.judging.shoppers import BySecond, Tallied
from crashcart.model.plan import PlannedRecovery
from crashcart.model.verdict import Outcome, Verdict
from tests.unit.judging.altered import ORDER, judged
from tests.unit.judging.planned import SLOS, plan
from tests.unit.judging.recordings import MadeUp
from tests.unit.judging.varied import Recipe, Spell, end, made, recipes, whole_runs

UNSEEN = ("blocked", "gave_up")
"""Who never sends an order is bad for purchases, and no event at all for the orders' latency."""


@dataclass(frozen=True)
class Worse:
    """More goes wrong: purchases that went well do not, and so many more come that end badly."""

    spell: Spell
    more: int


worse = st.builds(
    lambda phase, ends, every, network, how, more: Worse(
        Spell(phase, min(ends), max(ends) + 1, every, network, how), more
    ),
    st.sampled_from(("fault", "recovery")),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
    st.sampled_from((1, 2, 3, 7, 20)),
    st.sampled_from(("", "visa", "amex")),
    st.sampled_from(("dishonest", "unknown", "slow", "lied", *UNSEEN)),
    st.sampled_from((0, 1, 5, 12)),
)


def worsen(run: MadeUp, worse: Worse) -> None:
    spell = worse.spell
    phase = run.plan.phase(spell.phase)
    from_s, to_s = (phase.start_s + tenth * phase.duration_s / 10 for tenth in (spell.from_tenth, spell.to_tenth))
    met = [one for one in run.intents if from_s <= one.planned_s < to_s and spell.network in ("", one.network)]
    for one in met[:: spell.every]:
        well = one.outcome == "ok" and one.latency_ms < 500 and one.in_books
        refused = one.outcome == "declined" and one.in_books and spell.end != "slow"
        if well or refused:
            end(one, spell.end)
    for number in range(worse.more):
        like = run.intents[number]
        t = from_s + (to_s - from_s) * number / worse.more
        run.intents.append(replace(like, id=f"more-{number}", planned_s=t))
        end(run.intents[-1], "dishonest")


def _better(before: Outcome, after: Outcome) -> bool:
    return ORDER[after] > ORDER[before]


def _checks(verdict: Verdict) -> dict[str, bool]:
    """But for that of the machine, which asks where something was missed."""
    return {one.name: one.ok for one in verdict.validity if one.name != "machine"}


@whole_runs(10)
@given(recipes, worse)
def test_more_bad_events_never_improve_a_verdict(recipe: Recipe, worse: Worse) -> None:
    run = made(recipe)
    before = judged(run)
    worsen(run, worse)
    after = judged(run)
    assert _checks(after) == _checks(before)
    if after.valid and not before.valid:  # others took the machine's time then, and now it is not they alone
        assert after.outcome is Outcome.FAIL
        return
    for was, now in zip(before.objectives, after.objectives, strict=True):
        assert not _better(was.outcome, now.outcome), (was, now)
    for asked, asked_again in zip(before.invariants, after.invariants, strict=True):
        assert not _better(asked.outcome, asked_again.outcome), (asked, asked_again)
    assert before.recovery is not None
    assert after.recovery is not None
    for outcome, later in ((before.recovery.outcome, after.recovery.outcome), (before.outcome, after.outcome)):
        # with fewer orders there may be too few to say that they are slow
        unclear = worse.spell.end in UNSEEN and later is Outcome.INCONCLUSIVE
        assert not _better(outcome, later) or unclear, (before.reasons, after.reasons)


@st.composite
def tallies(draw: st.DrawFn) -> list[tuple[Tally, Tally]]:
    """Of each objective what was counted, and what would have been with more of it bad: mostly where it matters."""
    found = []
    for _ in plan().objectives:
        good = draw(st.one_of(st.integers(15, 22), st.integers(0, 60)))
        bad, excluded = draw(st.sampled_from((0, 0, 1, 2, 3, 20))), draw(st.sampled_from((0, 0, 1, 9)))
        turned = min(good, draw(st.sampled_from((0, 0, 1, 2, 20))))
        came, confirmed = draw(st.sampled_from((0, 1, 2, 20))), draw(st.integers(0, excluded))
        total = good + bad + excluded
        found.append((Tally(good, total, excluded), Tally(good - turned, total + came, excluded - confirmed)))
    return found


@given(tallies())
def test_more_bad_events_of_any_cohort_never_improve_an_objective(counted: list[tuple[Tally, Tally]]) -> None:
    ids = [one.id for one in plan().objectives]
    before, after = (
        judge_objectives(plan(), dict(zip(ids, column, strict=True))) for column in zip(*counted, strict=True)
    )
    for was, now in zip(before, after, strict=True):
        assert not _better(was.outcome, now.outcome), (was, now)


@given(st.integers(0, 200), st.integers(1, 200), st.integers(1, 99), st.integers(0, 60), st.integers(1, 50))
def test_a_bad_event_more_is_never_the_one_that_was_missing_for_a_pass(
    good: int, valid: int, hundredths: int, least: int, more: int
) -> None:
    def well(valid: int) -> bool:
        return met(good, valid, hundredths / 100) and enough(good, valid, hundredths / 100, least)

    assert well(good + valid) or not well(good + valid + more)


def _recovered(by_second: dict[int, tuple[int, int]]) -> Outcome:
    """(good, bad) by the second; the fault is from 25 s to 35 s, the end at 60 s."""
    usual = dict.fromkeys(range(25), (20, 0)) | by_second
    good = Tallied({second: n for second, (n, _) in usual.items()})
    offered = Tallied({second: n + bad for second, (n, bad) in usual.items()})
    recovery = PlannedRecovery(10.0, 10.0, 35.0, ("purchase-success",))
    purchases = msgspec.structs.replace(SLOS[0], objectives={"all": 0.9, "network:visa": 0.85, "network:amex": 0.8})
    by_cohort = BySecond(
        dict.fromkeys(("all", "network:visa", "network:amex"), offered),
        dict.fromkeys(("all", "network:visa", "network:amex"), good),
        {},
    )
    result = judge_recovery(
        plan(recovery=recovery, slos=(purchases,)),
        Goodput(offered, good),
        by_second=by_cohort,
        counters=Counters([]),
        unconfirmed=0,
    )
    assert result is not None
    return result.outcome


many = st.dictionaries(
    st.integers(25, 59), st.tuples(st.sampled_from((0, 1, 2, 10)), st.sampled_from((0, 0, 0, 1, 5))), max_size=35
)
few = st.sets(st.integers(35, 59), min_size=6, max_size=6).map(
    lambda quiet: {t: (1, 0) for t in range(25, 60) if t not in quiet}
)
"""From the end of the fault on one fewer than are needed to tell."""
much = st.dictionaries(st.integers(25, 59), st.tuples(st.integers(0, 10), st.integers(0, 3)), max_size=8)
a_little = st.dictionaries(st.integers(35, 59), st.sampled_from(((0, 1), (0, 1), (1, 1))), min_size=1, max_size=2)


quiet_end = dict.fromkeys(range(25, 55), (20, 0)) | dict.fromkeys(range(55, 59), (4, 0)) | {59: (4, 3)}
"""Three of the last 23 are lost. One more, and 19 are good: a window may not wait for a twentieth."""


late = {25: (0, 0), 45: (0, 1), 46: (10, 0), 47: (10, 1)}
"""Well again from 46 s on, a second too late. One more is lost there, and from then on there are too few to tell."""


@example((late, {46: (0, 1)}))
@example((quiet_end, {59: (1, 0)}))
@example((dict.fromkeys(range(41, 60), (1, 0)), {41: (0, 1)}))
@given(st.one_of(st.tuples(many, much), st.tuples(few, a_little)))
def test_more_bad_purchases_never_improve_a_recovery(
    drawn: tuple[dict[int, tuple[int, int]], dict[int, tuple[int, int]]],
) -> None:
    by_second, worse = drawn
    after = dict(by_second)
    for second, (turned, came) in worse.items():
        good, bad = by_second.get(second, (0, 0))
        after[second] = (good - min(good, turned), bad + min(good, turned) + came)
    assert not _better(_recovered(by_second), _recovered(after))
