"""What measured was broken: no numbers, counters that begin again, rows twice, errors where samples should be, nothing
at all. Each of these alone is no reason to fall over, and none is a pass."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crashcart.judging import encode, judge
from crashcart.model.errors import BadFile
from crashcart.model.plan import Plan
from crashcart.model.recording import SeriesSample
from crashcart.model.verdict import Outcome, Verdict
from tests.unit.judging.altered import judged, shuffled
from tests.unit.judging.recordings import MadeUp
from tests.unit.judging.varied import CALM, Spell, befall, made

SERIES = (
    ("shopper_intended_total", '"cohort": "all", "job": "load", "phase": "fault"'),
    ("shopper_events_total", '"cohort": "network:amex", "job": "load", "outcome": "ok", "phase": "fault"'),
    ("shopper_failures_total", '"cohort": "all", "honest": "yes", "job": "load", "phase": "fault"'),
    ("shopper_latency_seconds_bucket", '"cohort": "all", "job": "load", "le": "0.5", "phase": "fault"'),
    ("shopper_lateness_seconds_bucket", '"le": "0.05"'),
    ("shopper_lateness_seconds_bucket", '"le": "+Inf"'),
)
AT_S = 15


def _troubles(verdict: Verdict) -> dict[str, str]:
    return {check.name: check.detail for check in verdict.validity if not check.ok}


def _no_number(sample: SeriesSample) -> float:
    return math.nan if AT_S <= sample.t < AT_S + 6 else sample.value


def _never_a_number_again(sample: SeriesSample) -> float:
    return math.nan if sample.t >= AT_S else sample.value


def _from_zero_again(sample: SeriesSample) -> float:
    return 0.0 if sample.t >= AT_S else sample.value


@pytest.mark.parametrize("reads", [_no_number, _never_a_number_again, _from_zero_again])
@pytest.mark.parametrize(("metric", "labels"), SERIES)
def test_a_counter_that_does_not_count_is_no_pass(
    metric: str, labels: str, reads: Callable[[SeriesSample], float]
) -> None:
    run = made(CALM)
    # purchases that failed honestly, so that there is something to count of them, too
    befall(run, Spell("fault", 0, 4, 12, "", "failed"))
    met = []

    def misread(sample: SeriesSample) -> SeriesSample:
        if sample.metric != metric or labels not in sample.labels:
            return sample
        met.append(sample)
        return msgspec.structs.replace(sample, value=reads(sample))

    run.misread, run.thin = misread, False
    assert judged(run).outcome is Outcome.INCONCLUSIVE
    assert met


def test_a_run_in_which_all_that_goes_wrong_is_a_failure_or_two_passes() -> None:
    run = made(CALM)
    befall(run, Spell("fault", 0, 4, 12, "", "failed"))
    assert judged(run).outcome is Outcome.PASS


@pytest.mark.parametrize("peak_per_s", [0.0, 9.0])
def test_a_run_in_which_nobody_came_proves_nothing(peak_per_s: float) -> None:
    run = made(CALM)
    run.intents = []
    run.pace = dict.fromkeys(run.pace, (0, 0))
    run.plan = msgspec.structs.replace(run.plan, peak_per_s=peak_per_s)
    verdict = judged(run)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "no data: not one purchase was intended" in _troubles(verdict)["load-unbroken"]


def _with_share(plan: Plan) -> Plan:
    return msgspec.structs.replace(plan, load=msgspec.structs.replace(plan.load, purchase_share=0.0))


def _with_objective(wanted: float) -> Callable[[Plan], Plan]:
    return lambda plan: msgspec.structs.replace(
        plan, objectives=tuple(msgspec.structs.replace(one, objective=wanted) for one in plan.objectives)
    )


def _with_phases(*spans: tuple[float, float]) -> Callable[[Plan], Plan]:
    def changed(plan: Plan) -> Plan:
        phases = [
            msgspec.structs.replace(phase, start_s=start_s, end_s=end_s)
            for phase, (start_s, end_s) in zip(plan.phases, spans, strict=False)
        ]
        return msgspec.structs.replace(plan, phases=tuple(phases), objectives=(), recovery=None)

    return changed


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_with_share, "its load is none"),
        (_with_objective(1.0), "1 is no objective for baseline/purchase-success/all"),
        (_with_objective(0.0), "0 is no objective"),
        (_with_phases(), "its phases do not follow each other"),
        (_with_phases((0.0, 0.0)), "its phases do not follow each other"),
        (_with_phases((0.0, 5.0), (6.0, 9.0)), "its phases do not follow each other"),
    ],
)
def test_a_plan_by_which_nothing_can_be_divided_is_none(
    tmp_path: Path, change: Callable[[Plan], Plan], told: str
) -> None:
    directory = _written(tmp_path)
    path = directory / "plan.json"
    path.write_bytes(msgspec.json.encode(change(msgspec.json.decode(path.read_bytes(), type=Plan))))
    with pytest.raises(BadFile, match=told):
        judge(directory)


def _written(folder: Path) -> Path:
    """CALM, before its end."""
    run = made(CALM)
    run.finished = False
    return run.write(folder / "run")


def _finished(directory: Path) -> Verdict:
    made(CALM).finish(directory)
    return judge(directory)


def test_a_sample_or_a_look_that_is_told_twice_is_one_but_a_purchase_is_not(tmp_path: Path) -> None:
    usual = encode(_finished(_written(tmp_path / "usual")))
    directory = _written(tmp_path / "twice")
    for name in ("series.jsonl", "evidence.jsonl"):
        (directory / name).write_bytes((directory / name).read_bytes() * 2)
    assert encode(_finished(directory)) == usual
    directory = _written(tmp_path / "bought")
    (directory / "intents.jsonl").write_bytes((directory / "intents.jsonl").read_bytes() * 2)
    assert "18 scraped, 36 written down" in _troubles(_finished(directory))["shoppers-counted"]


def _second(started: int) -> dict[str, Any]:
    return {"t": AT_S, "scheduled": 36, "started": started, "ops": {}}


def _sample(value: float) -> dict[str, Any]:
    metric, labels = SERIES[0]
    return {"metric": metric, "labels": f"{{{labels}}}", "t": AT_S + 0.9999, "value": value}


@pytest.mark.parametrize(
    ("name", "row", "check"),
    [("pace.jsonl", _second(0), "load-delivered"), ("series.jsonl", _sample(60.0), "counters-whole")],
)
def test_two_rows_that_contradict_each_other_prove_nothing_whichever_comes_first(
    tmp_path: Path, name: str, row: dict[str, Any], check: str
) -> None:
    line, found = json.dumps(row).encode() + b"\n", []
    for number in range(2):
        directory = _written(tmp_path / str(number))
        content = (directory / name).read_bytes()
        (directory / name).write_bytes(line + content if number else content + line)
        verdict = _finished(directory)
        assert verdict.outcome is Outcome.INCONCLUSIVE
        assert check in _troubles(verdict)
        found.append(encode(verdict))
        shuffled(directory, number)
        found.append(encode(judge(directory)))
    assert len(set(found)) == 1


ANSWERED = b'{"status": "error", "errorType": "timeout", "error": "query timed out in expression evaluation"}\n'


@pytest.mark.parametrize("name", ["series", "evidence", "pace", "intents"])
def test_an_error_where_rows_should_be_is_not_left_out_in_silence(tmp_path: Path, name: str) -> None:
    directory = _written(tmp_path)
    path = directory / f"{name}.jsonl"
    path.write_bytes(path.read_bytes() + ANSWERED)
    verdict = _finished(directory)
    assert path.exists()
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert _troubles(verdict)["recording"] == f"{name}.jsonl holds lines that are not what they should be"


@pytest.mark.parametrize(
    ("lose", "told"),
    [
        (
            lambda table, row: table == "evidence" and row.t > 23,
            "checkout[0].payments[0] was looked at until 23.0 s only, and the run went on to 35 s",
        ),
        (lambda table, row: table == "events" and row[0] == "stopped", "nobody noted that everything was stopped"),
    ],
)
def test_who_stopped_looking_before_the_end_has_not_seen_it(lose: Callable[[str, Any], bool], told: str) -> None:
    run = made(CALM)
    run.lose = lose
    verdict = judged(run)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert told in _troubles(verdict)["recording"]


def test_things_that_shoppers_saw_equally_often_are_told_in_one_order(tmp_path: Path) -> None:
    run = made(CALM)
    first = int(run.plan.phase("fault").start_s) * CALM.per_s
    for number, (status, saw) in enumerate([(503, "no 1"), (500, "no 1"), (503, "no 2"), (500, "no 1")] * 2):
        one = run.intents[first + number]
        one.outcome, one.status, one.saw = "failed", status, saw
    directory = run.write(tmp_path / "run")
    told = []
    for seed in range(4):
        shuffled(directory, seed)
        told.append(judge(directory).saw)
    assert set(told) == {("fault: 8 of 99 purchases came to nothing: 4 × no 1; 4 × no 1, and alike",)}


def test_a_made_up_run_in_which_nothing_goes_wrong_passes(run: MadeUp) -> None:
    assert judged(made(CALM)).outcome is judged(run).outcome is Outcome.PASS
