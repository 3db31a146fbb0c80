from __future__ import annotations

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from crashcart.model.errors import BadFile
from crashcart.model.fault import LogRecord, Step
from crashcart.safety.faultlog import FaultLog, Op, OpenStep, announced_steps, open_steps, read_log

SLOW = OpenStep("f1", Step("toxiproxy/latency", "a[0].b[0]", {"toxic": "t", "api": "http://x"}), 100.0, "boot")
DOWN = OpenStep("f2", Step("toxiproxy/down", "a[0].c[0]", {}), 100.0, "boot")


def _log(path: Path, *entries: tuple[Op, OpenStep]) -> tuple[LogRecord, ...]:
    with FaultLog(path) as log:
        for op, step in entries:
            log.note(op, step)
    return read_log(path)


def test_what_was_written_is_read_back_with_who_wrote_it_and_when(tmp_path: Path) -> None:
    with FaultLog(tmp_path / "faultlog.jsonl", by="watchdog") as log:
        log.note("will-undo", SLOW)
        log.note("undo-failed", SLOW, error="no answer")
    first, second = read_log(tmp_path / "faultlog.jsonl")
    assert (first.op, first.fault, first.step, first.by) == ("will-undo", "f1", SLOW.step, "watchdog")
    assert (second.op, second.error, second.expires_mono_s) == ("undo-failed", "no answer", 100.0)
    assert second.at_mono_s >= first.at_mono_s
    assert len(first.boot_id) == 36


def test_no_file_is_an_empty_log(tmp_path: Path) -> None:
    assert read_log(tmp_path / "faultlog.jsonl") == ()


@pytest.mark.parametrize("last", [op for op in get_args(Op) if op != "undone"])
def test_a_step_is_open_from_its_announcement_until_it_is_undone(tmp_path: Path, last: Op) -> None:
    records = _log(tmp_path / "log", ("will-inject", SLOW), ("will-inject", DOWN), (last, SLOW), ("undone", DOWN))
    assert [step.fault for step in open_steps(records)] == ["f1"]
    assert [step.fault for step in announced_steps(records)] == ["f1", "f2"]


def test_a_step_done_after_somebody_else_undid_it_is_open_again(tmp_path: Path) -> None:
    assert open_steps(_log(tmp_path / "log", ("will-inject", SLOW), ("undone", SLOW), ("injected", SLOW)))


def test_the_order_of_keys_in_a_step_does_not_make_it_another_step(tmp_path: Path) -> None:
    turned = msgspec.structs.replace(SLOW.step, data={"api": "http://x", "toxic": "t"})
    same = OpenStep("f1", turned, 100.0, "boot")
    assert open_steps(_log(tmp_path / "log", ("will-inject", SLOW), ("undone", same))) == ()


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_last_line_cut_short_is_left_out_wherever_it_was_cut(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "log"
    _log(path, ("will-inject", SLOW), ("injected", SLOW))
    path.write_bytes(path.read_bytes()[:-cut] if cut > 1 else path.read_bytes()[:-1])
    assert [record.op for record in read_log(path)] == (["will-inject", "injected"] if cut == 1 else ["will-inject"])


def test_who_opens_a_log_cut_short_can_append_to_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    _log(path, ("will-inject", SLOW), ("injected", SLOW))
    for cut in (1, 20):
        path.write_bytes(path.read_bytes()[:-cut])
        with FaultLog(path, by="recover") as log:
            log.note("undone", SLOW)
        assert read_log(path)[-1].by == "recover"
    assert [record.op for record in read_log(path)] == ["will-inject", "injected", "undone"]


def test_a_bad_line_in_the_middle_is_an_error_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "log"
    _log(path, ("will-inject", SLOW))
    path.write_bytes(path.read_bytes() + b'{"op": "gone"}\n' + path.read_bytes())
    with pytest.raises(BadFile, match="log:2: not a record"):
        read_log(path)


def test_a_record_that_the_disk_takes_in_part_is_an_error_and_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    write = os.write
    with FaultLog(tmp_path / "log") as log:
        log.note("will-inject", SLOW)
        monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:10]))
        with pytest.raises(OSError, match="took 10 of"):
            log.note("injected", SLOW)
        monkeypatch.undo()
        log.note("undone", SLOW)
    assert [record.op for record in read_log(tmp_path / "log")] == ["will-inject", "undone"]
