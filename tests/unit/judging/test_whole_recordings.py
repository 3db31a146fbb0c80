"""How a run ended, and whether its recording is whole: each has an exit status or an error of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from crashcart.judging import encode, judge
from crashcart.model.errors import BadFile, UsageError
from crashcart.model.verdict import Outcome, Verdict
from tests.unit.judging.recordings import MadeUp

Judged = Callable[[MadeUp], Verdict]


def _undone_fault(run: MadeUp) -> None:
    run.faultlog = run.faultlog[:2]


def _not_undone_by_the_harness(run: MadeUp) -> None:
    run.events.append(("not-undone", 64.0, {"steps": ["f1 service/kill on checkout[0] could not be undone: it died"]}))


def _own_error(run: MadeUp) -> None:
    run.events.append(("error", 40.0, {"traceback": "Traceback\nValueError: ours"}))
    run.ended = "broken"


def _did_not_boot(run: MadeUp) -> None:
    run.events.append(("boot-failed", -1.0, {"error": "checkout[0]: it died"}))
    run.ended = "broken"


def _guardrail(run: MadeUp) -> None:
    run.events.append(("guardrail", 40.0, {"slo": "browse", "reason": "browse is 0.1"}))
    run.ended = "guardrail"


def _lost(run: MadeUp) -> None:
    run.intents[500].in_books = False


def _interrupted(run: MadeUp) -> None:
    run.events.append(("interrupted", 40.0, {"how": "SIGINT"}))
    run.ended = "interrupted"


def _invalid(run: MadeUp) -> None:
    run.events.append(("clock-step", 30.0, {"by_s": 3600.0}))


@pytest.mark.parametrize(
    ("spoilt", "status"),
    [
        ((), 0),
        ((_invalid,), 3),
        ((_invalid, _interrupted), 130),
        ((_invalid, _interrupted, _lost), 1),
        ((_invalid, _lost, _guardrail), 4),
        ((_invalid, _lost, _own_error), 70),
        ((_did_not_boot,), 3),
        ((_invalid, _lost, _not_undone_by_the_harness), 5),
        ((_invalid, _lost, _own_error, _undone_fault), 5),
    ],
)
def test_of_several_exit_statuses_the_worst_is_told(
    run: MadeUp, judged: Judged, spoilt: tuple[Callable[[MadeUp], None], ...], status: int
) -> None:
    for spoil in spoilt:
        spoil(run)
    assert judged(run).exit_status == status


def test_where_something_stayed_broken_half_done_orders_are_shown_with_the_reason(run: MadeUp, judged: Judged) -> None:
    _lost(run)
    _not_undone_by_the_harness(run)
    broken = next(one for one in judged(run).invariants if one.violations)
    assert "1 thing contradicts it" in broken.reason
    assert "the shop was still broken" in broken.reason
    assert "f1 service/kill on checkout[0] could not be undone: it died" in broken.reason


def test_a_run_that_was_cut_short_is_judged_from_what_there_is(run: MadeUp, judged: Judged) -> None:
    run.finished = False
    verdict = judged(run)
    assert (verdict.outcome, verdict.ended, verdict.run_id) == (Outcome.INCONCLUSIVE, "broken", "")
    fault = next(phase for phase in verdict.phases if phase.name == "fault")
    assert (fault.offered, fault.ok) == (200, 200)


def test_what_was_undone_after_the_run_does_not_change_what_was_said_of_it(run: MadeUp, tmp_path: Path) -> None:
    undone = run.faultlog[-1]
    _undone_fault(run)
    directory = run.write(tmp_path / "run")
    before = encode(judge(directory))
    with (directory / "faultlog.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(msgspec.structs.replace(undone, by="recover")) + b"\n")
    assert judge(directory).exit_status == 5
    assert encode(judge(directory)) == before


def test_a_fault_log_of_which_a_part_was_changed_is_refused(run: MadeUp, tmp_path: Path) -> None:
    directory = run.write(tmp_path / "run")
    log = directory / "faultlog.jsonl"
    log.write_bytes(log.read_bytes().replace(b"undone", b"undune"))
    with pytest.raises(BadFile, match="not what was recorded"):
        judge(directory)
    log.write_bytes(b"")
    with pytest.raises(BadFile, match="not what was recorded"):
        judge(directory)


def test_an_altered_recording_is_refused(run: MadeUp, tmp_path: Path) -> None:
    directory = run.write(tmp_path / "run")
    with (directory / "events.jsonl").open("ab") as file:
        file.write(b"\n")
    with pytest.raises(BadFile, match="not what was recorded"):
        judge(directory)


def test_a_missing_file_is_refused(run: MadeUp, tmp_path: Path) -> None:
    directory = run.write(tmp_path / "run")
    (directory / "truth/orders.parquet").unlink()
    with pytest.raises(BadFile, match="is missing"):
        judge(directory)


def test_a_recording_of_a_newer_crashcart_is_refused(run: MadeUp, tmp_path: Path) -> None:
    directory = run.write(tmp_path / "run")
    manifest = directory / "manifest.json"
    manifest.write_text(manifest.read_text().replace("recording/v1", "recording/v2"))
    with pytest.raises(UsageError, match="v2"):
        judge(directory)


def test_a_folder_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="this is no recording"):
        judge(tmp_path)
