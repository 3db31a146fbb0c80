"""The committed dashboards are those that the code makes, and Grafana can show them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from crashcart.burnrates import rules_text
from crashcart.loading import Project, open_project
from dashboards.__main__ import FOLDER, generated
from tests.e2e.as_grafana import panels, questions, read_dashboards

ROOT = Path(__file__).parents[3]
BOARDS = read_dashboards(FOLDER)
REMEDY = "run `crashcart dashboards build`, look at what changed, and commit it"


@pytest.fixture(scope="module")
def project() -> Project:
    return open_project(ROOT)


def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    grid = panel["gridPos"]
    rows, columns = range(grid["y"], grid["y"] + grid["h"]), range(grid["x"], grid["x"] + grid["w"])
    return {(row, column) for row in rows for column in columns}


def test_the_committed_dashboards_are_current() -> None:
    on_disk = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert on_disk == generated(), REMEDY


def test_the_committed_rules_are_current_and_every_slo_that_prometheus_counts_has_some(project: Project) -> None:
    on_disk = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "dashboards" / "rules").glob("*.yaml")}
    assert on_disk == {slo.name: rules_text(slo) for slo in project.slos.values() if slo.told_within_s is None}, REMEDY


def test_there_are_the_four() -> None:
    assert [board["title"] for board in BOARDS] == ["Books", "Game day", "Load", "Shop"]
    assert len({board["uid"] for board in BOARDS}) == 4


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["title"])
def test_no_panel_covers_another_or_leaves_the_page_or_a_gap(board: dict[str, Any]) -> None:
    for one, other in combinations(board["panels"], 2):
        assert not cells(one) & cells(other), f"{one['title']} covers {other['title']}"
    covered = set().union(*(cells(panel) for panel in board["panels"]))
    height = max(row for row, _ in covered) + 1
    assert covered == {(row, column) for row in range(height) for column in range(24)}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_a_game_day_is_one_screen() -> None:
    [board] = [board for board in BOARDS if board["title"] == "Game day"]
    assert max(row for panel in board["panels"] for row, _ in cells(panel)) < 24


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["title"])
def test_everything_asks_the_data_source_that_is_chosen_above(board: dict[str, Any]) -> None:
    assert ("datasource", "datasource") in {(one["name"], one["type"]) for one in board["templating"]["list"]}
    asked = [part["datasource"] for panel in panels(board) for part in (panel, *panel["targets"])]
    asked += [one["datasource"] for one in board["templating"]["list"] if one["type"] == "query"]
    asked += [one["datasource"] for one in board["annotations"]["list"] if one["name"] == "Faults"]
    assert {(one["type"], one["uid"]) for one in asked} == {("prometheus", "${datasource}")}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["title"])
def test_faults_show_without_anybody_writing_them(board: dict[str, Any]) -> None:
    [faults] = [one for one in board["annotations"]["list"] if one["name"] == "Faults"]
    assert faults["enable"] is True
    assert faults["expr"] == faults["target"]["expr"] == "max by (fault, kind, target) (crashcart_fault_active) == 1"


def test_no_panel_is_without_a_question_or_a_word_on_what_it_means() -> None:
    assert sum(1 for board in BOARDS for _ in questions(board)) > 70
    assert [panel["title"] for board in BOARDS for panel in panels(board) if not panel["description"]] == []
    assert [panel["title"] for board in BOARDS for panel in panels(board) if not panel["targets"]] == []


def test_the_budget_of_every_slo_that_prometheus_counts_is_on_the_game_day(project: Project) -> None:
    [board] = [board for board in BOARDS if board["title"] == "Game day"]
    [budgets] = [panel for panel in panels(board) if panel["title"] == "Error budgets left"]
    counted = [slo.title for slo in project.slos.values() if slo.told_within_s is None]
    assert [target["legendFormat"] for target in budgets["targets"]] == counted
