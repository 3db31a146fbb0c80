"""Fewer data never make a verdict better: what is lost of a run that failed makes no pass of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crashcart.judging import judge
from crashcart.model.errors import CrashcartError
from crashcart.model.verdict import Outcome
from tests.unit.judging.altered import judged
from tests.unit.judging.recordings import MadeUp, Told
from tests.unit.judging.varied import CALM, Recipe, Spell, befall, made, recipes, whole_runs


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


def _judged_and_doubted(run: MadeUp) -> tuple[Outcome, list[str]]:
    verdict = judged(run)
    return verdict.outcome, [check.name for check in verdict.validity if not check.ok]


def test_an_order_that_was_booked_twice_and_is_read_once_proves_nothing() -> None:
    run = made(CALM)
    _twice(run)
    first = iter((True,))
    run.lose = lambda table, row: table == "orders" and row[0] == _one_in_the_middle(run).id and next(first, False)
    assert _judged_and_doubted(run) == (Outcome.INCONCLUSIVE, ["recording"])


def test_an_order_that_was_lost_along_with_all_that_its_shopper_wrote_proves_nothing() -> None:
    run = made(CALM)
    _lost(run)
    run.lose = lambda table, row: table == "intents" and row["id"] == _one_in_the_middle(run).id
    assert _judged_and_doubted(run) == (Outcome.INCONCLUSIVE, ["shoppers-counted"])


FILES = (*(f"{name}.jsonl" for name in TABLES[:-1]), "load-summary.json", "truth/orders.parquet")


@example("", "evidence.jsonl", 0.8)
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
