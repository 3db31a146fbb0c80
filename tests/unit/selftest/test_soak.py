"""What a soak says of memory: flat, growing, or nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from crashcart.loading import open_project
from crashcart.model.recording import Event
from crashcart.model.verdict import Outcome
from crashcart.reporting.jsonfile import verdict_json
from crashcart.selftest.launching import Bench, Ran
from crashcart.selftest.soak import (
    FORGETS_MIB_PER_H,
    KEEPS_MIB_PER_H,
    LEAST_SAMPLES,
    Sample,
    growth_of,
    judge_soak,
    keepers,
    read_memory,
    report_on,
    slope_per_s,
)
from tests.unit.shelf.made import a_verdict

KEEPING = frozenset({"shelf"})


def _line(first_mib: float, mib_per_h: float, minutes: int = 10) -> list[Sample]:
    return [Sample(t, first_mib + mib_per_h * t / 3600) for t in range(0, 60 * minutes, 10)]


def _judged(tmp_path: Path, outcome: Outcome = Outcome.PASS, **parts: list[Sample]) -> tuple[str, ...]:
    verdict = a_verdict(outcome)
    (tmp_path / "verdict.json").write_text(verdict_json(verdict), encoding="utf-8")
    bench, ran = Bench(tmp_path, tmp_path, {}), Ran(verdict.exit_status, tmp_path, 1.0, "")
    return judge_soak(bench, "010-minutes", 10, ran, growth_of(parts), KEEPING).found


def test_one_leap_is_no_slope() -> None:
    leaping = [Sample(one.t_s, 40.0 if one.t_s < 300 else 44.0) for one in _line(0, 0)]
    assert slope_per_s(leaping) == pytest.approx(0.0, abs=4.0 / 300)
    assert slope_per_s(_line(40, 36)) == pytest.approx(0.01)
    assert slope_per_s([Sample(1.0, 40.0)]) == 0.0


def test_only_the_second_half_counts_since_the_first_fills_what_is_to_be_full() -> None:
    filling = [Sample(float(t), min(40.0 + t, 40.0 + 290.0)) for t in range(0, 600, 10)]
    assert growth_of({"checkout[0]": filling})["checkout[0]"].per_h == 0.0


def test_what_is_flat_is_not_found(tmp_path: Path) -> None:
    assert _judged(tmp_path, checkout=_line(40, 0), load=_line(90, FORGETS_MIB_PER_H * 0.9)) == ()


def test_what_grows_is_found_by_name(tmp_path: Path) -> None:
    (found,) = _judged(tmp_path, checkout=_line(40, 0), load=_line(90, FORGETS_MIB_PER_H * 1.1))
    assert "load grows by 33 MiB/h, and 30 are let pass" in found


def test_who_is_there_to_keep_things_may_grow_by_what_they_weigh_and_no_more(tmp_path: Path) -> None:
    assert _judged(tmp_path, shelf=_line(10, KEEPS_MIB_PER_H * 0.9)) == ()
    (found,) = _judged(tmp_path, shelf=_line(10, KEEPS_MIB_PER_H * 1.1))
    assert "256 are let pass" in found


def test_stores_outsiders_and_prometheus_keep_things(tmp_path: Path) -> None:
    design = open_project(Path(__file__).parents[3]).design("reference")
    assert keepers(design) == {"cart-store", "psp-a", "psp-b", "mail", "prometheus"}


def test_a_soak_that_does_not_pass_is_found(tmp_path: Path) -> None:
    (found,) = _judged(tmp_path, Outcome.INCONCLUSIVE, checkout=_line(40, 0))
    assert found.startswith("010-minutes: inconclusive, exit status 3")


def test_what_was_not_looked_at_is_not_flat(tmp_path: Path) -> None:
    assert _judged(tmp_path) == ("010-minutes: nobody's memory was looked at",)
    (found,) = _judged(tmp_path, checkout=_line(40, 0)[: LEAST_SAMPLES - 1])
    assert "tell nothing" in found


def test_a_part_that_died_half_way_is_not_flat(tmp_path: Path) -> None:
    (found,) = _judged(tmp_path, checkout=_line(40, 0), load=_line(90, 0)[:25])
    assert found == f"010-minutes: load: 0 looks at its memory tell nothing, {LEAST_SAMPLES} would"


def test_memory_is_read_from_events_up_to_where_they_were_cut(tmp_path: Path) -> None:
    events = [Event(10.0 * n, "", "memory", {"private_mib": {"load": 90.0 + n}}) for n in range(3)]
    lines = b"\n".join(msgspec.json.encode(event) for event in events)
    (tmp_path / "events.jsonl").write_bytes(lines[:-5])
    assert read_memory(tmp_path) == {"load": [Sample(0.0, 90.0), Sample(10.0, 91.0)]}


def test_the_table_has_what_grows_fastest_first(tmp_path: Path) -> None:
    (tmp_path / "verdict.json").write_text(verdict_json(a_verdict()), encoding="utf-8")
    parts = growth_of({"checkout": _line(40, 0), "load": _line(90, 24)})
    soaked = judge_soak(Bench(tmp_path, tmp_path, {}), "010-minutes", 10, Ran(0, tmp_path, 1.0, ""), parts)
    report = report_on({"010-minutes": soaked})
    assert [row[0] for row in report.rows] == ["load", "checkout"]
    assert report.rows[0][3] == "+24.0 MiB/h"
    assert report.found == ()
