from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb

from crashcart.reporting.recorded import read_plan
from crashcart.reporting.timeline import Bins, read_timeline
from tests.unit.reporting.conftest import Made
from tests.unit.reporting.recordings import make_plan, make_recording
from tests.unit.reporting.stories import FAIL, PASS, Story


def test_every_purchase_of_the_recording_is_counted_once(failed: Made) -> None:
    timeline = read_timeline(failed.folder, read_plan(failed.folder))
    offered = sum(phase.offered for phase in failed.verdict.phases)
    assert sum(timeline.offered) == offered
    assert sum(sum(counts) for counts in timeline.by_outcome.values()) == offered
    assert sum(timeline.by_outcome["ok"]) == sum(phase.ok for phase in failed.verdict.phases)
    assert sum(timeline.sent) == offered - sum(sum(timeline.by_outcome[outcome]) for outcome in ("blocked", "gave_up"))


def test_each_dimension_of_cohorts_holds_every_valid_purchase(failed: Made) -> None:
    timeline = read_timeline(failed.folder, read_plan(failed.folder))
    excused = sum(sum(timeline.by_outcome[outcome]) for outcome in ("declined", "sold_out"))
    for dimension in ("business_line", "region", "network", "device"):
        lanes = [lane for lane in timeline.lanes if lane.dimension == dimension]
        assert sum(sum(lane.valid) for lane in lanes) == sum(timeline.offered) - excused


def test_a_run_of_half_an_hour_is_counted_in_a_few_hundred_bins(tmp_path: Path) -> None:
    long = Story("long", PASS.outcome, stretch=22.5, per_s=2.0)
    make_recording(tmp_path, long)
    timeline = read_timeline(tmp_path, make_plan(long))
    assert timeline.bins.whole_s == 1800
    assert 100 <= timeline.bins.count <= 180
    assert timeline.probe_bins.count <= 360
    assert len(timeline.probes[0].median_ms) == timeline.probe_bins.count


def test_probes_show_the_fault_through_the_proxy_and_not_beside_it(failed: Made) -> None:
    timeline = read_timeline(failed.folder, read_plan(failed.folder))
    through, beside = timeline.probes
    assert (through.side, beside.side) == ("through", "beside")
    in_fault = int(40 / timeline.probe_bins.width_s)
    assert (through.failed_share[in_fault], beside.failed_share[in_fault]) == (1.0, 0.0)
    assert through.median_ms[in_fault] is None


def test_a_recording_without_any_rows_is_empty_and_not_an_error(tmp_path: Path) -> None:
    timeline = read_timeline(tmp_path, make_plan(PASS))
    assert sum(timeline.offered) == 0
    assert timeline.probes == ()
    assert set(timeline.latency_ms["p99"]) == {None}


def test_lines_of_an_interrupted_run_count_as_the_parquet_would(failed: Made, tmp_path: Path) -> None:
    plan = read_plan(failed.folder)
    for name in ("pace", "evidence"):
        with duckdb.connect() as connection:
            rows = connection.read_parquet(str(failed.folder / f"{name}.parquet"))
            columns = rows.columns
            lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in rows.fetchall()]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n" + lines[-1][:20])
    (tmp_path / "intents.jsonl").write_text(_diary(failed.folder) + '{"r":"intent","id":"cut sho')
    lines_read, parquet_read = read_timeline(tmp_path, plan), read_timeline(failed.folder, plan)
    assert lines_read == parquet_read


def _diary(folder: Path) -> str:
    """The same intents as the load writes them: a line when drawn, one for each send, one at the end."""
    with duckdb.connect() as connection:
        rows = connection.read_parquet(str(folder / "intents.parquet"))
        records = [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()]
    lines = []
    for row in records:
        cohorts = json.loads(str(row["cohorts"]))
        lines.append(
            {"r": "intent", "id": row["id"], "phase": row["phase"], "planned_s": row["planned_s"], "cohorts": cohorts}
        )
        if row["sent_s"] is not None:
            for attempt in (1, 2):
                late = 0.001 * (attempt - 1)
                lines.append(
                    {"r": "send", "id": row["id"], "intended_s": row["intended_s"], "sent_s": row["sent_s"] + late}
                )
        if row["outcome"] not in ("blocked", "unknown"):
            ending = {key: row[key] for key in ("id", "outcome", "latency_ms", "done_s")}
            lines.append({"r": "end", **ending})
        elif row["outcome"] == "unknown":
            lines.append({"r": "end", "id": row["id"], "latency_ms": row["latency_ms"], "done_s": row["done_s"]})
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_a_folder_with_quotes_and_spaces_in_its_name_is_read(failed: Made, tmp_path: Path) -> None:
    odd = tmp_path / 'it\'s a "run" [1] *'
    shutil.copytree(failed.folder, odd)
    assert sum(read_timeline(odd, read_plan(odd)).offered) > 0


def test_the_last_bin_of_a_run_is_as_long_as_what_is_left() -> None:
    bins = Bins(7.5, 2)
    assert (bins.count, bins.end_s(3)) == (4, 7.5)
    assert bins.per_s((2, 2, 2, 3)) == (1, 1, 1, 2)
    assert bins.edges_s == (0, 2, 4, 6, 7.5)


def test_goodput_is_counted_when_the_shopper_was_told(tmp_path: Path) -> None:
    make_recording(tmp_path, FAIL)
    timeline = read_timeline(tmp_path, make_plan(FAIL))
    assert timeline.completed != timeline.by_outcome["ok"]
    assert sum(timeline.completed) <= sum(timeline.by_outcome["ok"])
