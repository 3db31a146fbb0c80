from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import msgspec

from crashcart.model.plan import Effect
from crashcart.model.verdict import Verdict
from crashcart.reporting.lanes import cohort_panel, evidence_panel
from crashcart.reporting.panel import Panel
from crashcart.reporting.recorded import read_events, read_plan
from crashcart.reporting.scene import make_scene
from crashcart.reporting.timeline import read_timeline
from crashcart.reporting.words import NBSP
from tests.unit.reporting.conftest import Made
from tests.unit.reporting.recordings import PROBE_COLUMNS, make_recording, write_table
from tests.unit.reporting.stories import PASS


def cohorts(folder: Path, verdict: Verdict) -> Panel:
    plan = read_plan(folder)
    timeline = read_timeline(folder, plan)
    panel = cohort_panel(make_scene(plan, read_events(folder), verdict, 80), timeline, plan, verdict)
    assert panel is not None
    return panel


def value_of(panel: Panel, cohort: str) -> str:
    return next(strip.value for strip in panel.strips if strip.label == cohort).replace(NBSP, " ")


def test_a_cohort_that_stands_out_is_marked_and_named_with_the_verdicts_own_count(failed: Made) -> None:
    panel = cohorts(failed.folder, failed.verdict)
    assert [strip.label for strip in panel.strips if strip.css == "worst"] == ["network: amex"]
    assert value_of(panel, "network: amex") == "2.94 % ✗"
    assert "2.94 % of 34 completed in the phase fault" in panel.note.replace(NBSP, " ")


def test_without_an_objective_in_that_phase_the_purchases_themselves_are_counted(failed: Made) -> None:
    baseline_only = tuple(one for one in failed.verdict.objectives if one.phase == "baseline")
    panel = cohorts(failed.folder, msgspec.structs.replace(failed.verdict, objectives=baseline_only))
    assert value_of(panel, "network: amex") == "2.94 %"
    assert "completed in fault" in panel.unit


def test_where_all_cohorts_suffer_alike_none_is_called_the_worst(tmp_path: Path) -> None:
    everyone = replace(PASS, lost_in_fault=0.0, all_lost=0.6)
    panel = cohorts(tmp_path, make_recording(tmp_path, everyone))
    assert panel.note == "In the phase fault no cohort stands out."
    assert not any(strip.css for strip in panel.strips)
    assert len(panel.strips) == 10


def test_a_small_cohort_with_a_few_losses_is_not_called_the_worst(tmp_path: Path) -> None:
    unlucky = replace(PASS, lost_in_fault=0.0, amex_lost=0.03)
    panel = cohorts(tmp_path, make_recording(tmp_path, unlucky))
    assert "no cohort stands out" in panel.note


def test_probes_that_were_not_answered_are_drawn_for_as_long_as_they_were(failed: Made) -> None:
    plan = read_plan(failed.folder)
    scene = make_scene(plan, read_events(failed.folder), failed.verdict, 80)
    panel = evidence_panel(scene, read_timeline(failed.folder, plan), plan)
    assert panel is not None
    (strip,) = panel.strips
    assert re.findall(r"not answered through the proxy for 20.s", strip.drawing)
    assert "not answered beside the proxy" not in strip.drawing
    assert panel.note == "A cut link shows through the proxy and not beside it."


def evidence(folder: Path, verdict: Verdict, rows: list[dict[str, object]], measure: str = "unreachable") -> Panel:
    plan = read_plan(folder)
    fault = msgspec.structs.replace(plan.faults[0], effect=Effect(measure))  # type: ignore[arg-type]
    plan = msgspec.structs.replace(plan, faults=(fault,))
    write_table(folder, "evidence", rows, {**PROBE_COLUMNS, "value": "DOUBLE"})
    panel = evidence_panel(make_scene(plan, [], verdict, 80), read_timeline(folder, plan), plan)
    assert panel is not None
    return panel


def test_probes_made_twice_a_second_are_one_curve_that_breaks_where_they_stopped(tmp_path: Path) -> None:
    verdict = make_recording(tmp_path, PASS)
    times = [t / 2 for t in range(20, 60)] + [t / 2 for t in range(80, 120)]
    panel = evidence(
        tmp_path, verdict, [{"t": t, "proxy": "p", "side": "through", "ok": True, "ms": 1.0} for t in times]
    )
    (curve,) = re.findall(r'<path class="line c-through" d="([^"]+)"', panel.strips[0].drawing)
    assert curve.count("M") == 2
    assert curve.count("L") == len(times) - 2


def test_what_an_observer_saw_has_a_lane_of_its_own_by_the_name_of_the_fault(tmp_path: Path) -> None:
    verdict = make_recording(tmp_path, PASS)
    rows: list[dict[str, object]] = [
        {"t": t / 4, "proxy": "f1", "side": "observed", "ok": 120 <= t < 200, "ms": 0.0, "value": 64.0}
        for t in range(40, 300)
    ]
    panel = evidence(tmp_path, verdict, rows, "observed")
    (strip,) = panel.strips
    assert strip.label == "payments.psp-a is down"
    assert re.findall(r"seen for 20.s, typically 64\.0", strip.drawing)
    assert strip.drawing.count('class="c-seen"') == 1
    assert panel.note == "What a fault's own observer saw has a lane of its own."
    assert [key.label for key in panel.key] == ["seen by its observer"]
