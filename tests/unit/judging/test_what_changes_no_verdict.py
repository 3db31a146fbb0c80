"""What must change nothing: another order of rows, files or cohorts, other names of cohorts, another time, a window in
two, another look, another machine."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crashcart.judging import encode, judge
from crashcart.judging.counters import Counters, Series
from crashcart.judging.links import read_links
from crashcart.judging.objectives import Tally, judge_objectives
from crashcart.judging.recovery import Goodput
from crashcart.judging.shoppers import Tallied
from crashcart.judging.tape import Room
from crashcart.model.plan import Phase
from crashcart.model.verdict import ObjectiveResult, Outcome
from tests.unit.judging.altered import judged, renamed, reordered, said, shifted, shuffled, split
from tests.unit.judging.planned import SLOS, plan
from tests.unit.judging.varied import NETWORKS, Recipe, Spell, made, recipes, whole_runs

seeds = st.integers(0, 2**16)
EVENTFUL = Recipe(
    per_s=10,
    lasts_s=(2, 8, 11, 15),
    networks=NETWORKS[3],
    regions=True,
    effects=("unreachable", "observed"),
    wanted=0.8,
    min_events=10,
    spells=(
        Spell("baseline", 2, 9, 7, "", "declined"),
        Spell("fault", 0, 10, 2, "", "failed"),
        Spell("fault", 3, 6, 3, "", "dishonest"),
        Spell("recovery", 0, 3, 2, "visa", "unknown"),
        Spell("recovery", 2, 5, 3, "", "slow"),
        Spell("recovery", 3, 6, 5, "", "lied"),
    ),
)


@whole_runs(6)
@given(recipes, seeds)
def test_the_order_of_rows_and_files_is_nothing_to_the_judge(recipe: Recipe, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        recording = made(recipe).write(Path(folder) / "run")
        before = encode(judge(recording))
        assert encode(judge(recording)) == before
        shuffled(recording, seed)
        assert encode(judge(recording)) == before


@whole_runs(6)
@given(recipes, seeds, st.permutations(("zebra", "amex", "a:b")))
def test_the_order_and_the_names_of_cohorts_are_nothing_to_the_judge(
    recipe: Recipe, seed: int, names: list[str]
) -> None:
    called = dict(zip(("visa", "amex", "giro"), names, strict=True))

    def name(objective: str) -> str:
        head, _, value = objective.rpartition(":")
        return f"{head}:{called[value]}" if head.endswith("network") else objective

    run = made(recipe)
    assert said(judged(renamed(reordered(run, seed), called))) == said(judged(run), rename=name)


@pytest.mark.parametrize("cohort", SLOS[0].objectives)
def test_a_cohort_is_judged_by_its_own_chance_whatever_it_is_called(cohort: str) -> None:
    tallies = {one.id: Tally(300 if one.cohort == cohort else 400, 400) for one in plan().objectives}
    found = [one for one in judge_objectives(plan(), tallies) if (one.phase, one.slo) == ("baseline", SLOS[0].name)]
    assert [one.cohort for one in found if one.outcome is Outcome.FAIL] == [cohort]
    assert [one.p_value == 1.0 for one in found] == [one.cohort != cohort for one in found]


@whole_runs(5)
@given(recipes, st.integers(1, 100_000))
def test_the_time_at_which_all_of_it_happened_is_nothing_to_the_judge(recipe: Recipe, by_s: int) -> None:
    run = made(recipe)
    assert said(judged(shifted(run, by_s))) == said(judged(run))


@whole_runs(6)
@given(recipes, st.integers(2, 8))
def test_a_phase_that_is_told_as_two_counts_as_one(recipe: Recipe, after_s: int) -> None:
    run = made(replace(recipe, crowded=()))  # of a half something may be missed, and not of the whole
    whole, halves = judged(run), judged(split(run, "fault", run.plan.phase("fault").start_s + after_s))
    by_id = {one.id: one for one in halves.objectives}
    for one in whole.objectives:
        parts = [by_id[one.id]]
        if one.phase == "fault":
            parts.append(by_id[one.id.replace("fault", "fault-2", 1)])
            if {part.outcome for part in parts} == {Outcome.PASS}:
                assert one.outcome is not Outcome.FAIL
        assert _summed(parts) == _summed([one])
    untouched = ("checks", "recovery", "invariants", "evidence", "cost")
    assert [said(halves)[name] for name in untouched] == [said(whole)[name] for name in untouched]
    for column in ("offered", "ok", "failed", "unknown", "declined", "sold_out", "blocked", "gave_up"):
        in_all, in_parts = (sum(getattr(one, column) for one in verdict.phases) for verdict in (whole, halves))
        assert in_all == in_parts
    assert sum(one.calls for one in whole.links) == sum(one.calls for one in halves.links)


def _summed(parts: list[ObjectiveResult]) -> tuple[int, int, int]:
    return sum(one.good for one in parts), sum(one.valid for one in parts), sum(one.excluded for one in parts)


@whole_runs(4)
@given(recipes, st.sets(st.integers(4, 25), min_size=1, max_size=4))
def test_a_scrape_that_was_missed_changes_no_count(recipe: Recipe, missed: set[int]) -> None:
    all_, some = (judged(made(replace(recipe, missed=seconds))) for seconds in ((), tuple(missed)))
    assert [_summed([one]) for one in some.objectives] == [_summed([one]) for one in all_.objectives]
    assert said(some)["objectives"] == said(all_)["objectives"]
    assert said(some)["invariants"] == said(all_)["invariants"]


steps = st.lists(st.one_of(st.integers(0, 9), st.sampled_from((-1, math.nan))), min_size=1, max_size=30)
edges = st.tuples(*[st.integers(-2, 32).map(lambda half: half / 1)] * 3).map(sorted)


def _counter(grown: list[float]) -> Series:
    """A sample a second; −1: it was started again, NaN: that scrape is no number."""
    values, value = [], 0.0
    for n in grown:
        value = 0.0 if n == -1 else value + (0.0 if math.isnan(n) else n)
        values.append(math.nan if math.isnan(n) else value)
    labels = {"link": "a.b", "outcome": "ok"}
    return Series("link_calls_total", labels, tuple(t + 0.5 for t in range(len(grown))), tuple(values))


@example([1, 2], [0.0, 1.0, 2.0])
@given(steps, edges)
def test_what_a_counter_grew_by_in_a_window_is_what_it_grew_by_in_its_parts(
    grown: list[float], edges: list[float]
) -> None:
    first, middle, last = edges
    one = _counter(grown)
    assert one.between(first, last) == one.between(first, middle) + one.between(middle, last)
    if first < middle < last:
        whole, halves = (
            read_links(plan(phases=tuple(Phase(f"p{a}", a, b) for a, b in spans)), Counters([one]))
            for spans in ([(first, last)], [(first, middle), (middle, last)])
        )
        assert sum(link.calls for link in whole) == sum(link.calls for link in halves)


@example({5: 1}, [0, 5, 9])
@given(st.dictionaries(st.integers(0, 40), st.integers(0, 9)), st.tuples(*[st.integers(0, 40)] * 3).map(sorted))
def test_purchases_of_a_window_are_those_of_its_parts(offered: dict[int, int], edges: list[int]) -> None:
    first, middle, last = edges
    one = Tallied(offered)
    assert one.between(first, last) == one.between(first, middle) + one.between(middle, last)
    goodput = Goodput(one, Tallied({second: n // 2 for second, n in offered.items()}))
    parts = [ratio for span in ((first, middle), (middle, last)) if (ratio := goodput.ratio(*span)) is not None]
    whole = goodput.ratio(first, last)
    assert (whole is None) is (not parts)
    assert whole is None or min(parts) - 1e-12 <= whole <= max(parts) + 1e-12


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With witnesses, and counters that are lost of every cohort: all that is told of by name."""
    run = made(EVENTFUL)
    run.intents[-1].booked_twice = run.intents[-2].booked_twice = True
    run.lose = lambda table, row: table == "series" and "_events_" in row.metric and '"recovery"' in row.labels
    return run.write(tmp_path_factory.mktemp("eventful") / "run")


def test_an_eventful_run_is_judged_the_same_in_every_process_and_room(eventful: Path, tmp_path: Path) -> None:
    here = encode(judge(eventful))
    assert encode(judge(eventful, (Room("480MB", 1),))) == here
    program = "import sys; from pathlib import Path; from crashcart.judging import encode, judge; "
    program += "sys.stdout.buffer.write(encode(judge(Path(sys.argv[1]))))"
    root = Path(__file__).parents[3]
    for seed, zone, locale in (("1", "Asia/Kathmandu", "C"), ("2", "America/St_Johns", "C.UTF-8")):
        env = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale, "PYTHONPATH": str(root)}
        there = subprocess.run(
            [sys.executable, "-c", program, str(eventful)], cwd=tmp_path, env=env, capture_output=True, check=True
        )
        assert there.stdout == here
