from __future__ import annotations

from pathlib import Path

import duckdb
import msgspec
import pytest

from crashcart.judging import failed_orders, judge
from crashcart.model.slo import FAILED_ORDERS, FAILED_ORDERS_TOLD, Slo
from crashcart.model.truth import Source
from crashcart.model.verdict import FollowUp, Outcome, Verdict
from tests.unit.judging.planned import TRUTH, objective, plan
from tests.unit.judging.recordings import MadeUp, Told

T0_WALL_S = 1_700_000_000.0
TOLD = Slo(
    "failed-orders-told",
    "Failed orders that were followed up",
    "shop",
    FAILED_ORDERS_TOLD,
    FAILED_ORDERS,
    {"all": 0.95, "network:amex": 0.9},
    only_failures=True,
    told_within_s=30.0,
)
FOLLOWED_UP = msgspec.structs.replace(
    TRUTH,
    sources={**TRUTH.sources, "mail": Source(ledger="mail", columns={"key": "VARCHAR", "t": "TIMESTAMPTZ"})},
    follow_up_sql="SELECT key, t AS told_at FROM mail;",
)


def followed_up(run: MadeUp) -> MadeUp:
    """A run of a shop that writes to those whose orders fail, of which that is expected."""
    made = plan()
    expected = tuple(objective("fault", TOLD.name, cohort, wanted, 0) for cohort, wanted in TOLD.objectives.items())
    run.plan = plan(slos=(*made.slos, TOLD), objectives=(*made.objectives, *expected), truth=FOLLOWED_UP)
    run.events = [
        (name, t, {**data, "t0_wall": T0_WALL_S} if name == "load-started" else data) for name, t, data in run.events
    ]
    return run


def write(run: MadeUp, directory: Path, mails: list[tuple[str, float]]) -> Path:
    """`mails`: (the intent's id, seconds from t0)."""
    finished, run.finished = run.finished, False
    run.write(directory)
    rows = ", ".join(f"('{key}', to_timestamp({T0_WALL_S + at_s}))" for key, at_s in mails)
    values = f"VALUES {rows}" if rows else "SELECT NULL::VARCHAR, NULL::TIMESTAMPTZ WHERE false"
    with duckdb.connect() as database:
        path = directory / "truth/mail.parquet"
        database.execute(f"COPY (FROM ({values}) AS mail(key, t)) TO '{path}' (FORMAT parquet)")
    if finished:
        run.finish(directory)
    return directory


def fails(told: Told) -> None:
    told.outcome, told.latency_ms = "failed", 1000.0


def result(verdict: Verdict, cohort: str = "all") -> tuple[Outcome, int, int]:
    one = next(one for one in verdict.objectives if one.slo == TOLD.name and one.cohort == cohort)
    return one.outcome, one.good, one.valid


def test_where_no_order_failed_everybody_was_told(run: MadeUp, tmp_path: Path) -> None:
    verdict = judge(write(followed_up(run), tmp_path / "run", []))
    assert result(verdict) == (Outcome.PASS, 0, 0)
    assert verdict.follow_up == FollowUp(0, 0, None, None)


def test_told_late_or_never_is_not_told(run: MadeUp, tmp_path: Path) -> None:
    followed_up(run).spoil(fails, 30.0, 31.0)
    keys = [one.id for one in run.intents if one.outcome == "failed"]
    mails = [(key, 40.0) for key in keys[:5]] + [(key, 70.0) for key in keys[5:10]]
    directory = write(run, tmp_path / "run", mails)
    verdict = judge(directory)
    assert result(verdict) == (Outcome.FAIL, 5, 20)
    assert verdict.follow_up is not None
    assert (verdict.follow_up.failed, verdict.follow_up.told) == (20, 10)
    told = failed_orders(directory)
    assert [one.intent for one in told] == keys
    assert told[0].told_after_s == pytest.approx(9.0)
    assert told[0].cohorts == {"network": "amex"}
    assert told[-1].told_after_s is None
    assert failed_orders(directory, 3) == told[:3]


def test_each_cohort_is_told_for_itself(run: MadeUp, tmp_path: Path) -> None:
    followed_up(run).spoil(fails, 25.0, 35.0)
    failed = [one for one in run.intents if one.outcome == "failed"]
    mails = [(one.id, one.planned_s + 2.0) for one in failed if one.network == "visa"]
    verdict = judge(write(run, tmp_path / "run", mails))
    assert result(verdict) == (Outcome.FAIL, 150, 200)
    assert result(verdict, "network:amex") == (Outcome.FAIL, 0, 50)


def test_the_first_of_several_messages_counts_and_strangers_do_not(run: MadeUp, tmp_path: Path) -> None:
    followed_up(run).spoil(fails, 30.0, 30.02)
    key = next(one.id for one in run.intents if one.outcome == "failed")
    verdict = judge(write(run, tmp_path / "run", [(key, 50.0), (key, 33.0), ("stranger", 31.0), ("k00-00", 31.0)]))
    assert verdict.follow_up == FollowUp(1, 1, 2.0, 2.0)


def test_of_whom_nobody_knows_the_end_the_books_decide_whether_the_order_failed(run: MadeUp, tmp_path: Path) -> None:
    def doubt(told: Told) -> None:
        told.outcome, told.in_books = "unknown", told.network == "visa"

    followed_up(run).spoil(doubt, 30.0, 30.2)
    directory = write(run, tmp_path / "run", [])
    assert {one.cohorts["network"] for one in failed_orders(directory)} == {"amex"}


def test_without_the_messages_nobody_can_say_who_was_told(run: MadeUp, tmp_path: Path) -> None:
    followed_up(run).spoil(fails, 30.0, 31.0)
    directory = run.write(tmp_path / "run")
    verdict = judge(directory)
    assert result(verdict)[0] is Outcome.INCONCLUSIVE
    assert verdict.follow_up is None
    assert len(failed_orders(directory)) == 20


def test_a_project_without_follow_ups_has_failed_orders_all_the_same(run: MadeUp, tmp_path: Path) -> None:
    run.spoil(fails, 30.0, 31.0)
    directory = run.write(tmp_path / "run")
    assert judge(directory).follow_up is None
    assert {one.told_after_s for one in failed_orders(directory)} == {None}
