from __future__ import annotations

import json
import math
from pathlib import Path

from crashcart.reporting.timeline import Bins
from crashcart.reporting.traffic import Alert, LinkCells, read_traffic
from tests.unit.reporting.recordings import write_table
from tests.unit.reporting.series import SERIES_COLUMNS

Sample = tuple[str, dict[str, str], float, float]
CELLS = Bins(40.0, 10.0)


def write(folder: Path, *samples: Sample) -> None:
    rows = [
        {"metric": metric, "labels": json.dumps(labels, sort_keys=True), "t": t, "value": value}
        for metric, labels, t, value in samples
    ]
    write_table(folder, "series", rows, SERIES_COLUMNS)


def calls(outcome: str, *points: tuple[float, float], instance: str = "a[0]") -> list[Sample]:
    labels = {"link": "a.b", "outcome": outcome, "instance": instance}
    return [("link_calls_total", labels, t, value) for t, value in points]


def only(folder: Path) -> LinkCells:
    (link,) = read_traffic(folder, CELLS).links
    return link


def test_calls_are_counted_in_the_cell_in_which_they_were_seen(tmp_path: Path) -> None:
    write(tmp_path, *calls("ok", (-0.7, 5), (4.3, 15), (12.3, 40)), *calls("error", (-0.7, 0), (12.3, 3)))
    link = only(tmp_path)
    assert link.calls == (10, 28, 0, 0)
    assert link.failed == (0, 3, 0, 0)


def test_a_counter_that_falls_was_restarted_and_counts_from_zero(tmp_path: Path) -> None:
    write(tmp_path, *calls("ok", (-0.7, 0), (4.3, 100), (14.3, 7)))
    assert only(tmp_path).calls == (100, 7, 0, 0)


def test_replicas_are_added_up(tmp_path: Path) -> None:
    write(tmp_path, *calls("ok", (0, 0), (4, 10)), *calls("ok", (0, 0), (4, 5), instance="a[1]"))
    assert only(tmp_path).calls == (15, 0, 0, 0)


def test_what_never_went_out_is_told_apart_and_is_bad_all_the_same(tmp_path: Path) -> None:
    write(
        tmp_path,
        *calls("ok", (0, 0), (4, 10)),
        *calls("short_circuited", (0, 0), (4, 4)),
        *calls("saturated", (0, 0), (4, 1)),
    )
    link = only(tmp_path)
    assert (link.calls[0], link.not_sent[0], link.wanted[0], link.bad[0]) == (10, 5, 15, 5)


def test_latency_is_the_edge_under_which_95_of_100_calls_lay(tmp_path: Path) -> None:
    def bucket(le: str, count: float) -> list[Sample]:
        labels = {"link": "a.b", "le": le}
        return [("link_call_duration_seconds_bucket", labels, t, n) for t, n in ((0.0, 0.0), (4.0, count))]

    write(tmp_path, *calls("ok", (0, 0), (4, 100)), *bucket("0.05", 94), *bucket("0.1", 96), *bucket("+Inf", 100))
    assert only(tmp_path).p95_ms == (100.0, None, None, None)
    write(tmp_path, *calls("ok", (0, 0), (4, 100)), *bucket("0.05", 94), *bucket("+Inf", 100))
    assert only(tmp_path).p95_ms[0] == math.inf


def test_an_alert_fires_from_the_first_sample_that_says_so_to_the_first_that_does_not(tmp_path: Path) -> None:
    labels = {"alert": "Slow", "instance": "a[0]"}
    write(tmp_path, *(("alert_firing", labels, t, v) for t, v in ((0.0, 0.0), (12.0, 1.0), (20.0, 0.0), (35.0, 1.0))))
    assert read_traffic(tmp_path, CELLS).alerts == (Alert("Slow", ((12.0, 20.0), (35.0, 40.0))),)


def test_a_recording_without_series_has_nothing_to_draw(tmp_path: Path) -> None:
    assert read_traffic(tmp_path, CELLS).links == ()
