"""Experiments that are derived are plans that can be run."""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.faults import registry
from crashcart.loading import Project, open_project
from crashcart.model.errors import UsageError
from crashcart.model.plan import Plan
from crashcart.planning import Request, plan
from crashcart.selftest.deriving import (
    links_in_turn,
    shortest_on_a_link,
    steady_one,
    write_lasting,
    write_noop,
    write_plain,
    write_short,
)

ROOT = Path(__file__).parents[3]
TINY = ROOT / "tests" / "projects" / "tiny"
PROJECTS = [pytest.param(ROOT, id="reference"), pytest.param(TINY, id="tiny")]


def _planned(project: Project, path: Path) -> Plan:
    return plan(Request(project.experiment(str(path)), project, "local", lambda _: "", registry()))


@pytest.mark.parametrize("root", PROJECTS)
def test_a_soak_is_the_steady_state_for_as_long_as_was_asked_for(root: Path, tmp_path: Path) -> None:
    project = open_project(root)
    made = _planned(project, write_lasting(project.experiment(steady_one(project)), 30, tmp_path))
    (baseline,) = [phase for phase in made.phases if phase.name == "baseline"]
    assert baseline.end_s - baseline.start_s == 1800.0
    assert made.faults == ()


@pytest.mark.parametrize("root", PROJECTS)
def test_the_steady_state_keeps_what_the_baseline_expects_and_does_nothing(root: Path, tmp_path: Path) -> None:
    project = open_project(root)
    file = project.experiment(steady_one(project))
    made = _planned(project, write_plain(file, tmp_path))
    assert made.faults == ()
    assert {one.slo for one in made.objectives} == {one.slo for one in file.experiment.expect.baseline}
    assert made.peak_per_s == file.experiment.load.peak_per_s
    assert [phase.name for phase in made.phases] == ["warmup", "baseline"]


@pytest.mark.parametrize("root", PROJECTS)
def test_every_link_in_turn_has_a_fault_that_does_nothing_and_all_must_go_on_well(root: Path, tmp_path: Path) -> None:
    project = open_project(root)
    file = project.experiment(steady_one(project))
    chosen = links_in_turn(file, project)
    assert len(chosen) >= 2
    for link in chosen:
        made = _planned(project, write_noop(file, project, link, tmp_path))
        [fault] = made.faults
        assert (fault.kind, fault.links) == ("noop", (link,))
        phases = {
            phase: {one.id.partition("/")[2] for one in made.objectives if one.phase == phase}
            for phase in ("baseline", "fault")
        }
        assert phases["fault"] == phases["baseline"]
        assert made.recovery is not None
        assert made.recovery.slos


@pytest.mark.parametrize("root", PROJECTS)
def test_the_short_one_breaks_a_link_and_expects_no_recovery(root: Path, tmp_path: Path) -> None:
    project = open_project(root)
    file = project.experiment(shortest_on_a_link(project))
    made = _planned(project, write_short(file, tmp_path))
    assert made.faults
    assert made.recovery is None
    assert made.phases[-1].duration_s == 5.0
    assert [one.slo for one in file.experiment.expect.fault]
    assert {one.slo for one in made.objectives if one.phase == "fault"} == {
        one.slo for one in file.experiment.expect.fault
    }


def test_changes_that_were_asked_for_are_in_it(tmp_path: Path) -> None:
    project = open_project(TINY)
    file = project.experiment("shelf-gone", ("load.peak_per_s=15", "timeline.baseline=6s"))
    made = _planned(project, write_plain(file, tmp_path))
    assert made.peak_per_s == 15
    assert made.phases[-1].duration_s == 6.0


def test_an_experiment_without_a_fault_is_no_target_for_fire(tmp_path: Path) -> None:
    project = open_project(ROOT)
    with pytest.raises(UsageError, match="has no fault"):
        write_short(project.experiment("steady-state"), tmp_path)


def test_without_a_steady_state_one_of_several_must_be_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "experiments").mkdir(exist_ok=True)
        (tmp_path / "experiments" / f"{name}.yaml").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="which experiment"):
        steady_one(Project(tmp_path))
