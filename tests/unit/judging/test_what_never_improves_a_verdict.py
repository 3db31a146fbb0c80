"""More bad events, or fewer data: neither makes a verdict better."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.judging import judge
from crashcart.judging.counters import Counters
from crashcart.judging.numbers import enough, met
from crashcart.judging.objectives import Tally, judge_objectives
from crashcart.judging.recovery import Goodput, judge_recovery
from crashcart.judging.shoppers import BySecond, Tallied
from crashcart.model.errors import CrashcartError
from crashcart.model.plan import PlannedRecovery
from crashcart.model.verdict import Outcome, Verdict
from tests.unit.judging.altered import ORDER, judged
from tests.unit.judging.planned import SLOS, plan
from tests.unit.judging.recordings import MadeUp, Told
from tests.unit.judging.varied import CALM, Recipe, Spell, befall, end, made, recipes, whole_runs

# ------------------------------------------------------------------------------------------------------ more bad events

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


# ----------------------------------------------------------------------------------------------------------- fewer data


def _all(phase: str, how: str, every: int = 1) -> Callable[[MadeUp], None]:
    return lambda run: befall(run, Spell(phase, 0, 10, every, "", how))


def _one_network(run: MadeUp) -> None:
    befall(run, Spell("fault", 0, 10, 1, run.intents[0].network, "failed"))


def _one_in_the_middle(run: MadeUp) -> Told:
    return run.intents[len(run.intents) // 2]


def _lost(run: MadeUp) -> None:
    _one_in_the_middle(run).in_books = False


def _twice(run: MadeUp) -> None:
    _one_in_the_middle(run).booked_twice = True


WOUNDS: dict[str, Callable[[MadeUp], None]] = {
    "nobody buys in the fault": _all("fault", "failed"),
    "one network is down": _one_network,
    "orders are slow": _all("fault", "slow"),
    "failures are not honest": _all("fault", "dishonest", 20),
    "the shop stays down": _all("recovery", "failed"),
    "an order is lost": _lost,
    "an order is booked twice": _twice,
}


@pytest.mark.parametrize("wound", WOUNDS)
def test_a_run_with_a_wound_fails(wound: str) -> None:
    run = made(CALM)
    WOUNDS[wound](run)
    assert judged(run).outcome is Outcome.FAIL


def _t(table: str, row: Any) -> float:
    """When a row of a table was noted, in seconds from t0; it is −1 where that is not told."""
    match table:
        case "events":
            return float(row[1])
        case "intents":
            return float(row.get("planned_s", row.get("sent_s", row.get("done_s", -1.0))))
        case "pace":
            return float(row["t"])
        case "series" | "evidence":
            return float(row.t)
        case _:
            return -1.0


def _a_share(table: str, of: int, number: int) -> Callable[[str, Any], bool]:
    return lambda its, row: its == table and hash(msgspec.json.encode(row)) % of == number % of


def _a_while(table: str, from_s: float, lasts_s: float) -> Callable[[str, Any], bool]:
    return lambda its, row: its == table and from_s <= _t(its, row) < from_s + lasts_s


def _labelled(what: str) -> Callable[[str, Any], bool]:
    return lambda its, row: its == "series" and what in f"{row.metric} {row.labels}"


def _of_event(name: str) -> Callable[[str, Any], bool]:
    return lambda its, row: its == "events" and row[0] == name


def _of_log(op: str) -> Callable[[str, Any], bool]:
    return lambda its, row: its == "faultlog" and row.op == op


def _of_network(network: str) -> Callable[[str, Any], bool]:
    """A worker of the load that had a network to itself is gone with all that it wrote."""
    return lambda its, row: (
        (its == "intents" and row.get("cohorts", {}).get("network") == network)
        or (its == "series" and f'"network:{network}"' in row.labels)
    )


TABLES = ("events", "faultlog", "intents", "pace", "series", "evidence", "orders")
METRICS = ("shopper_intended_total", "shopper_events_total", "shopper_failures_total", "shopper_latency", "link_calls")
losses = st.one_of(
    st.builds(_a_share, st.sampled_from(TABLES), st.sampled_from((1, 2, 20)), st.integers(0, 19)),
    st.builds(_a_while, st.sampled_from(TABLES[:-1]), st.integers(0, 38), st.sampled_from((1, 5, 20, 99))),
    st.sampled_from((*METRICS, "network:", '"cohort": "all"', '"fault"', '"recovery"', '"failed"', '"ok"')).map(
        _labelled
    ),
    st.sampled_from(("gate", "fault-injected", "fault-undone", "books-read", "quiesced", "load-settled")).map(
        _of_event
    ),
    st.sampled_from(("undone", "injected")).map(_of_log),
    st.sampled_from(("visa", "amex")).map(_of_network),
)
calm = recipes.map(lambda recipe: replace(recipe, spells=(), missed=(), crowded=()))


@whole_runs(24)
@given(calm, st.sampled_from(tuple(WOUNDS)), losses)
def test_losing_rows_never_turns_a_fail_into_a_pass(
    recipe: Recipe, wound: str, lost: Callable[[str, Any], bool]
) -> None:
    run = made(recipe)
    WOUNDS[wound](run)
    run.lose, run.finished = lost, False
    with tempfile.TemporaryDirectory() as folder:
        assert _judged_or_refused(run, run.write(Path(folder) / "run")) is not Outcome.PASS


FILES = (*(f"{name}.jsonl" for name in TABLES[:-1]), "load-summary.json", "truth/orders.parquet")


@whole_runs(12)
@given(st.sampled_from(("", *WOUNDS)), st.sampled_from(FILES), st.floats(0, 0.8))
def test_a_file_that_was_cut_before_the_end_at_any_byte_never_gives_a_pass(wound: str, name: str, share: float) -> None:
    run = made(CALM)
    if wound:
        WOUNDS[wound](run)
    run.finished = False
    with tempfile.TemporaryDirectory() as folder:
        path = run.write(Path(folder) / "run") / name
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        assert _judged_or_refused(run, path.parents[name.count("/")]) is not Outcome.PASS


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_lost_before_the_end_never_gives_a_pass(name: str, tmp_path: Path) -> None:
    run = made(CALM)
    run.finished = False
    directory = run.write(tmp_path / "run")
    (directory / name).unlink()
    assert _judged_or_refused(run, directory) is not Outcome.PASS


def _judged_or_refused(run: MadeUp, directory: Path) -> Outcome | None:
    """What a run that is written down gets, when it has come to its end."""
    try:
        run.finish(directory)
        return judge(directory).outcome
    except CrashcartError:
        return None
