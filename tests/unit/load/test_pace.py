from __future__ import annotations

from math import ceil
from pathlib import Path
from random import Random

import pytest
from hdrh.histogram import HdrHistogram

from crashcart.loadkit.histograms import Histogram
from crashcart.loadkit.pace import Pace
from tests.unit.load.fakes import read_lines


def test_a_second_holds_what_was_planned_for_it_however_late_it_began(tmp_path: Path) -> None:
    pace = Pace(tmp_path, ("browse",))
    for planned_s, late_s in ((0.2, 0.001), (0.9, 0.9), (1.1, 0.002)):
        pace.next_due(planned_s)
        pace.scheduled(planned_s)
        pace.started(planned_s, late_s)
    pace.next_due(2.5)
    pace.write(3.5, in_flight=4)
    first, second = read_lines(tmp_path / "pace.jsonl")
    assert (first["t"], first["scheduled"], first["started"], first["late_max_ms"]) == (0, 2, 2, 900.0)
    assert (second["scheduled"], second["late_p99_ms"], second["in_flight"]) == (1, 2.0, 4)


def test_a_session_that_could_not_be_started_is_scheduled_all_the_same(tmp_path: Path) -> None:
    pace = Pace(tmp_path, ())
    pace.next_due(0.5)
    pace.scheduled(0.5)
    pace.no_more_arrivals()
    pace.write(1.5, in_flight=0)
    (line,) = read_lines(tmp_path / "pace.jsonl")
    assert (line["scheduled"], line["started"], line["late_p50_ms"]) == (1, 0, None)


def test_a_second_is_not_written_while_its_arrivals_may_still_come(tmp_path: Path) -> None:
    """A dispatcher that hangs must not make its own second look empty."""
    pace = Pace(tmp_path, ())
    pace.next_due(0.5)
    pace.write(20.0, in_flight=0)
    assert read_lines(tmp_path / "pace.jsonl") == []
    pace.scheduled(0.5)
    pace.started(0.5, 19.5)
    pace.next_due(30.0)
    pace.write(20.0, in_flight=1)
    lines = read_lines(tmp_path / "pace.jsonl")
    assert [line["t"] for line in lines] == list(range(19))
    assert lines[0]["late_max_ms"] == 19_500.0


def test_operations_count_in_the_second_they_ended_errors_apart(tmp_path: Path) -> None:
    pace = Pace(tmp_path, ("browse", "checkout"))
    pace.no_more_arrivals()
    for milliseconds in range(1, 101):
        pace.finished("browse", ok=milliseconds != 100, done_s=0.5, latency_s=milliseconds / 1000)
    pace.close(0.9)
    (line,) = read_lines(tmp_path / "pace.jsonl")
    assert line["ops"]["browse"] == {"n": 100, "errors": 1, "p50_ms": 50.0, "p99_ms": 99.0}
    assert line["ops"]["checkout"] == {"n": 0, "errors": 0, "p50_ms": None, "p99_ms": None}
    assert pace.finished_ok["browse"].count == 99
    assert pace.finished_not_ok["browse"].count == 1


def test_closing_writes_every_second_that_was_begun(tmp_path: Path) -> None:
    pace = Pace(tmp_path, ())
    pace.scheduled(0.1)
    pace.scheduled(3.9)
    pace.close(5.5)
    assert [line["t"] for line in read_lines(tmp_path / "pace.jsonl")] == [0, 1, 2, 3, 4, 5]


def test_a_histogram_can_be_read_by_any_reader_of_hdr() -> None:
    histogram = Histogram()
    for seconds in (*(milliseconds / 1000 for milliseconds in range(1, 1001)), 3600, 0):
        histogram.record(seconds)
    summary = histogram.summary()
    theirs = HdrHistogram.decode(str(summary["hdr"]))
    assert theirs.get_total_count() == summary["count"] == 1002
    assert theirs.get_value_at_percentile(50) / 1000 == pytest.approx(500, rel=0.002)
    assert theirs.get_value_at_percentile(100) / 1e6 == pytest.approx(60, rel=0.002)


@pytest.mark.parametrize("percent", [10, 50, 90, 99, 99.9, 100])
def test_percentiles_are_the_nearest_rank_to_a_tenth_of_a_percent(percent: float) -> None:
    histogram, random = Histogram(), Random(1)
    seconds = sorted(random.lognormvariate(-4, 1) for _ in range(5000))
    for one in seconds:
        histogram.record(one)
    rank = ceil(percent / 100 * len(seconds))
    assert histogram.percentile_ms(percent) == pytest.approx(seconds[rank - 1] * 1000, rel=0.001)


def test_a_histogram_of_nothing_says_nothing() -> None:
    assert Histogram().percentile_ms(99) == 0.0
    assert Histogram().summary()["count"] == 0
