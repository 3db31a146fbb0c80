"""The verdict says what shoppers saw whose purchases came to nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb

from crashcart.judging import judge
from crashcart.model.verdict import Outcome, Verdict
from tests.unit.judging.recordings import MadeUp, Told

Judged = Callable[[MadeUp], Verdict]
NO_JSON = "the answer of POST /orders (201, text/html) is wrong: it is no JSON"


def _no_json(told: Told) -> None:
    told.outcome, told.in_books, told.saw = "unknown", False, NO_JSON


def _priced(told: Told) -> None:
    _no_json(told)
    told.saw = f"the answer of POST /orders is wrong: {told.planned_s} cents"


def _talkative(told: Told) -> None:
    _no_json(told)
    told.saw = "".join(chr(97 + int(digit)) for digit in str(int(told.planned_s * 1000))) * 200


def _gave_up(told: Told) -> None:
    told.outcome, told.in_books = "gave_up", False


def test_a_closed_gate_says_what_the_shoppers_of_the_baseline_saw(run: MadeUp, judged: Judged) -> None:
    run.spoil(_no_json, 5.0, 25.0)
    verdict = judged(run)
    offered = next(phase.offered for phase in verdict.phases if phase.name == "baseline")
    said = f"{offered} of {offered} purchases came to nothing: {offered} × {NO_JSON}"
    gate = next(check for check in verdict.validity if check.name == "gate")
    assert not gate.ok
    assert gate.detail.endswith(f"; {said}")
    assert verdict.saw == (f"baseline: {said}",)
    assert any(said in reason for reason in verdict.reasons)
    assert verdict.outcome is Outcome.INCONCLUSIVE


def test_what_differs_in_numbers_alone_is_told_once_and_as_one_of_many(run: MadeUp, judged: Judged) -> None:
    run.spoil(_priced, 25.0, 26.0)
    run.spoil(_gave_up, 26.0, 26.1)
    (said,) = judged(run).saw
    assert said.startswith("fault: 22 of 200 purchases came to nothing: 20 × the answer of POST /orders is wrong: 25.")
    assert said.endswith(" cents, and alike; 2 × gave_up")


def test_however_much_the_shop_says_it_is_kept_short(run: MadeUp, judged: Judged) -> None:
    run.spoil(_talkative, 25.0, 30.0)
    (said,) = judged(run).saw
    assert "…; 1 × " in said
    assert said.endswith("× something else")
    assert len(said) < 600


def test_where_every_purchase_succeeded_nothing_is_said(run: MadeUp, judged: Judged) -> None:
    assert judged(run).saw == ()


def test_a_recording_of_before_there_was_this_is_judged_all_the_same(run: MadeUp, tmp_path: Path) -> None:
    run.spoil(_gave_up, 25.0, 26.0)
    run.finished = False
    recording = run.write(tmp_path / "made")
    lines = (recording / "intents.jsonl").read_text(encoding="utf-8").replace('"saw"', '"other"')
    (recording / "intents.jsonl").write_text(lines, encoding="utf-8")
    run.finish(recording)
    table = str(recording / "intents.parquet")
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE old AS SELECT * EXCLUDE (saw) FROM read_parquet('{table}')")
        database.execute(f"COPY old TO '{table}' (FORMAT parquet)")
    (recording / "manifest.json").unlink()
    assert judge(recording).saw == ("fault: 20 of 200 purchases came to nothing: 20 × gave_up",)
