from __future__ import annotations

import math
import re

import pytest
from markupsafe import escape

from crashcart.reporting.heat import edge, heat_panels, numbers
from crashcart.reporting.recorded import read_plan
from crashcart.reporting.scene import make_scene
from crashcart.reporting.timeline import Bins
from crashcart.reporting.traffic import LinkCells, Traffic
from crashcart.reporting.words import NBSP
from tests.unit.reporting.conftest import Made
from tests.unit.reporting.recordings import make_plan
from tests.unit.reporting.stories import FAIL, HOSTILE

CELLS = Bins(40.0, 10.0)


def link(name: str, calls: tuple[int, ...], failed: tuple[int, ...] = (0, 0, 0, 0)) -> LinkCells:
    return LinkCells(name, calls, failed, (0, 0, 0, 0), (5.0, 20.0, math.inf, None))


def drawn(made: Made, *links: LinkCells) -> dict[str, str]:
    plan = read_plan(made.folder)
    scene = make_scene(plan, [], made.verdict, 40)
    panels = heat_panels(scene, Traffic(CELLS, links), plan)
    return {
        panel.id: str(escape(panel.note)) + "".join(str(strip.drawing) for strip in panel.strips) for panel in panels
    }


def levels(drawing: str) -> list[str]:
    return re.findall(r'class="heat \w+ (q\d)"', drawing)


def test_a_cell_is_darker_and_taller_the_more_it_says(passed: Made) -> None:
    drawing = drawn(passed, link("a.b", (100, 50, 10, 0), (0, 1, 9, 0)))
    assert levels(drawing["link-calls"]) == ["q5", "q3", "q1"]
    assert levels(drawing["link-errors"]) == ["q2", "q5"]
    assert levels(drawing["link-latency"]) == ["q1", "q2", "q5"]
    heights = [
        float(height) for height in re.findall(r'class="heat calls[^>]* height="([\d.]+)"', drawing["link-calls"])
    ]
    assert heights == sorted(heights, reverse=True)


def test_every_cell_says_its_numbers(passed: Made) -> None:
    drawing = drawn(passed, link("a.b", (100, 50, 10, 0), (0, 1, 9, 0)))["link-errors"].replace(NBSP, " ")
    assert "a.b, 20 s to 30 s: 10 calls, 9 failed, p95 off the scale" in drawing


def test_links_without_errors_are_counted_and_not_drawn(passed: Made) -> None:
    errors = drawn(passed, link("a.b", (10, 10, 10, 10), (1, 0, 0, 0)), link("a.c", (10, 10, 10, 10)))["link-errors"]
    assert "Most on a.b: 1 of 40 calls. None on 1 other link." in errors
    assert "a.c" not in errors


def test_without_any_error_a_sentence_says_so(passed: Made) -> None:
    assert drawn(passed, link("a.b", (1, 1, 1, 1)))["link-errors"] == "No call failed on any link."


def test_without_counted_links_there_is_no_map(passed: Made) -> None:
    assert drawn(passed) == {}
    assert numbers(Traffic(CELLS), read_plan(passed.folder)) is None


def test_of_very_many_links_the_busiest_are_drawn(passed: Made) -> None:
    drawing = drawn(passed, *(link(f"a.l{n}", (n, n, n, n)) for n in range(1, 40)))["link-calls"]
    assert drawing.count("<svg") == 24
    assert "The 24 busiest links; 15 others in the table." in drawing
    assert "a.l39" in drawing


def test_names_of_links_are_shown_and_never_obeyed(passed: Made) -> None:
    drawing = "".join(drawn(passed, link(HOSTILE, (1, 1, 1, 1), (1, 0, 0, 0))).values())
    assert "<script>" not in drawing
    assert "alert(1)" in drawing


def test_the_numbers_of_the_maps_are_a_table_too() -> None:
    table = numbers(Traffic(CELLS, (link("a.b", (100, 50, 10, 0), (0, 1, 9, 0)),)), make_plan(FAIL))
    assert table is not None
    assert table.links == ("a.b",)
    said = [(at, cells[0].replace(NBSP, " ")) for at, cells in table.rows]
    assert said[0][1] == "100 / · / ≤ 5.0 ms"
    assert said[2:] == [(f"20{NBSP}s", "10 / 9 / off the scale"), (f"30{NBSP}s", "·")]


@pytest.mark.parametrize(("p95_ms", "said"), [(None, "–"), (250.0, "≤ 250 ms"), (math.inf, "off the scale")])
def test_a_quantile_of_a_histogram_is_known_to_its_edge(p95_ms: float | None, said: str) -> None:
    assert edge(p95_ms).replace(NBSP, " ") == said
