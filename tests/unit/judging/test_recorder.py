from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crashcart.judging.counters import Series
from crashcart.model.errors import BadFile, UsageError
from crashcart.model.recording import INTENT_COLUMNS, Event, Machine, Manifest, ProbeSample, SeriesSample
from crashcart.recorder import NotRecorded, Recorder, relation, verify
from crashcart.recorder.writing import thinned

MACHINE = Machine(2, 1, "k", "p", {})


def finish(recorder: Recorder) -> Manifest:
    return recorder.finish(
        run_id="r",
        experiment="e",
        started_wall="a",
        finished_wall="b",
        ended="completed",
        crashcart_version="0",
        commit="c",
        machine=MACHINE,
    )


def rows(directory: Path, table: Any) -> list[dict[str, Any]]:
    select = relation(directory, table)
    assert select is not None
    found = duckdb.connect().execute(select)
    columns = [column[0] for column in found.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


def diary(directory: Path, *lines: dict[str, Any], torn: str = "") -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines) + torn
    (directory / "intents.jsonl").write_text(text)


DRAWN = {"r": "intent", "id": "k", "session": 1, "phase": "fault", "planned_s": 1.0, "cohorts": {"network": "amex"}}
SENT = {"r": "send", "id": "k", "attempt": 1, "intended_s": 1.5, "sent_s": 1.6, "total_cents": 7, "lines": [["G", 2]]}
ENDED = {"r": "end", "id": "k", "outcome": "ok", "latency_ms": 5.0, "attempts": 1, "status": 201, "done_s": 1.7}


def test_an_event_is_on_disk_when_the_call_returns(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.event("phase", 1.23456, phase="fault")
    event = msgspec.json.decode((tmp_path / "events.jsonl").read_bytes(), type=Event)
    assert (event.t, event.event, event.data) == (1.2346, "phase", {"phase": "fault"})
    assert event.wall.endswith("Z")
    recorder.close()


def test_many_threads_may_record_and_every_line_is_whole(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)

    def work() -> None:
        for n in range(200):
            recorder.probe(ProbeSample(float(n), "a.b", "through", True, 1.0))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    finish(recorder)
    assert len(rows(tmp_path, "evidence")) == 800


def test_an_intents_last_word_counts(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    again = {**SENT, "attempt": 2, "sent_s": 2.0, "total_cents": 9}
    diary(tmp_path, DRAWN, SENT, again, {**ENDED, "outcome": "unknown"}, {**ENDED, "done_s": 2.5, "attempts": 2})
    finish(recorder)
    row = rows(tmp_path, "intents")[0]
    assert list(row) == list(INTENT_COLUMNS)
    assert (row["outcome"], row["attempts"], row["sent_s"], row["total_cents"]) == ("ok", 2, 1.6, 9)
    assert json.loads(row["cohorts"]) == {"network": "amex"}
    assert json.loads(row["lines"]) == [["G", 2]]


def test_what_a_second_click_was_told_is_kept(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    once, twice = {**ENDED, "double_click": ""}, {**ENDED, "id": "l", "double_click": "different"}
    diary(tmp_path, DRAWN, SENT, once, {**DRAWN, "id": "l"}, {**SENT, "id": "l"}, twice)
    finish(recorder)
    assert {row["id"]: row["double_click"] for row in rows(tmp_path, "intents")} == {"k": None, "l": "different"}


def test_an_intent_that_never_ended_is_unknown_if_it_was_sent_and_blocked_if_not(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    diary(tmp_path, DRAWN, SENT, {**DRAWN, "id": "l"})
    finish(recorder)
    assert {row["id"]: (row["outcome"], row["attempts"]) for row in rows(tmp_path, "intents")} == {
        "k": ("unknown", 1),
        "l": ("blocked", 0),
    }


def test_a_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    diary(tmp_path, DRAWN, torn='{"r": "send", "id": "k", "atte')
    finish(recorder)
    assert [row["outcome"] for row in rows(tmp_path, "intents")] == ["blocked"]
    assert not (tmp_path / "intents.jsonl").exists()


def test_jsonl_reads_as_parquet_does(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    diary(tmp_path, DRAWN, SENT, ENDED, torn='{"r": "in')
    before = rows(tmp_path, "intents")
    finish(recorder)
    assert rows(tmp_path, "intents") == before


def test_a_file_that_cannot_be_converted_is_kept(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    diary(tmp_path, DRAWN, {**SENT, "total_cents": "a lot"}, ENDED)
    manifest = finish(recorder)
    assert "intents.jsonl" in {entry.path for entry in manifest.files}
    assert (tmp_path / "intents.jsonl").exists()


def test_the_manifest_counts_and_hashes_everything_but_what_is_made_later(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.event("ready", 0.0)
    recorder.probe(ProbeSample(1.0, "a.b", "through", True, 1.0))
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/checkout[0].log").write_text("{}\n")
    (tmp_path / "verdict.json").write_text("{}")
    manifest = finish(recorder)
    assert {entry.path: entry.rows for entry in manifest.files} == {
        "events.jsonl": 1,
        "evidence.parquet": 1,
        "logs/checkout[0].log": None,
    }
    assert verify(tmp_path) == manifest


def test_logs_may_be_thrown_away_and_a_verdict_written(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs/load.log"
    log.write_text("x")
    finish(recorder)
    log.unlink()
    (tmp_path / "verdict.json").write_text("{}")
    verify(tmp_path)


def test_a_recording_that_was_cut_short_is_no_whole_one(tmp_path: Path) -> None:
    Recorder(tmp_path).close()
    with pytest.raises(BadFile, match="cut short"):
        verify(tmp_path)


def test_an_altered_file_is_found_out(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.event("ready", 0.0)
    finish(recorder)
    events = tmp_path / "events.jsonl"
    events.write_text(events.read_text().replace("ready", "Ready"))
    with pytest.raises(BadFile, match="not what was recorded"):
        verify(tmp_path)


@pytest.mark.parametrize(("format_", "error"), [("crashcart/recording/v9", UsageError), ("something/else", BadFile)])
def test_what_another_program_recorded_is_refused(tmp_path: Path, format_: str, error: type[Exception]) -> None:
    finish(Recorder(tmp_path))
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest.read_text().replace("crashcart/recording/v1", format_))
    with pytest.raises(error):
        verify(tmp_path)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(-1, 45))
def test_thinning_loses_no_step_of_a_counter(grown: list[int], at: int) -> None:
    samples, value = [], 0
    for t, n in enumerate(grown):
        value += n
        samples.append(SeriesSample("m", "{}", float(t), float(value)))

    def series(kept: list[SeriesSample]) -> Series:
        return Series("m", {}, tuple(sample.t for sample in kept), tuple(sample.value for sample in kept))

    whole, thin = series(samples), series(list(thinned(samples)))
    assert thin.at(at) == whole.at(at)
    assert (thin.values[0], thin.values[-1]) == (whole.values[0], whole.values[-1])
    assert thin.grown(at, at + 10) == whole.grown(at, at + 10)


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    (tmp_path / "series.jsonl").symlink_to("/dev/full")
    with pytest.raises(NotRecorded, match="No space left") as caught:
        recorder.series([SeriesSample("m", "{}", 1.0, 1.0)])
    assert (caught.value.where, bool(caught.value.remedy)) == (str(tmp_path / "series.jsonl"), True)
    recorder.event("error", 2.0, traceback="…")
    recorder.close()
    assert b"error" in (tmp_path / "events.jsonl").read_bytes()


def test_a_sample_that_found_no_room_does_not_break_its_thread_but_the_run(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    (tmp_path / "evidence.jsonl").symlink_to("/dev/full")
    recorder.probe(ProbeSample(1.0, "a[0].b[0]", "through", True, 1.0))
    with pytest.raises(NotRecorded, match="No space left") as caught:
        recorder.event("phase", 2.0, phase="fault")
    assert caught.value.where == str(tmp_path / "evidence.jsonl")
    assert b"phase" in (tmp_path / "events.jsonl").read_bytes()
    recorder.event("error", 3.0, traceback="…")  # said once: what a broken run still has to tell is kept
    recorder.probe(ProbeSample(4.0, "a[0].b[0]", "through", True, 1.0))
    with pytest.raises(NotRecorded, match="No space left"):
        finish(recorder)


def test_a_folder_that_can_not_be_written_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(NotRecorded, match="Not a directory"):
        Recorder(Path("/dev/null"))
