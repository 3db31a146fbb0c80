"""Which experiments names, folders and tags choose."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from crashcart.loading import Project, open_project
from crashcart.model.errors import BadFile, UsageError
from crashcart.wiring.choosing import choose, parse_tags
from crashcart.wiring.plans import make_plan, make_plans
from tests.unit.shelf.made import TINY

TAGS = {"a": "nightly, short", "b": "nightly", "theme/c": "short", "theme/d": "nightly, demonstration"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    shutil.copytree(TINY, tmp_path / "project")
    folder = tmp_path / "project" / "experiments"
    text = (folder / "shelf-gone.yaml").read_text(encoding="utf-8")
    (folder / "shelf-gone.yaml").unlink()
    for name, tags in TAGS.items():
        path = folder / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("name: shelf-gone,", f"name: {path.stem}, tags: [{tags}],"), encoding="utf-8")
    return open_project(tmp_path / "project")


def names(project: Project, *named: str, tags: tuple[str, ...] = (), not_tags: tuple[str, ...] = ()) -> list[str]:
    return [path.stem for path in choose(project, named, parse_tags(tags, not_tags)).paths]


def test_a_tag_chooses_from_all_folders_and_leaves_out_what_is_meant_to_fail(project: Project) -> None:
    assert names(project, tags=("nightly",)) == ["a", "b"]
    assert names(project, str(project.root / "experiments")) == ["a", "b", "c"]


def test_several_tags_must_all_fit_and_of_those_with_commas_one(project: Project) -> None:
    assert names(project, tags=("nightly", "short")) == ["a"]
    assert names(project, tags=("nightly,short",)) == ["a", "b", "c"]
    assert names(project, tags=("nightly",), not_tags=("short",)) == ["b"]
    assert names(project, not_tags=("short",)) == ["b"]


def test_a_demonstration_is_run_by_its_name_or_its_tag_alone(project: Project) -> None:
    assert names(project, "d") == ["d"]
    assert names(project, tags=("demonstration",)) == ["d"]
    assert names(project, tags=("nightly", "demonstration")) == ["d"]
    assert names(project, "theme") == ["c"]


def test_tags_choose_within_the_folders_named_and_never_against_a_name(project: Project) -> None:
    assert names(project, "theme", tags=("short",)) == ["c"]
    assert names(project, "c", "theme", tags=("short",)) == ["c"]
    assert names(project, "c", tags=("nightly",)) == ["c", "a", "b"]


def test_what_is_named_twice_is_run_once_and_that_is_said(project: Project) -> None:
    chosen = choose(project, ("a", "b", "a", str(project.root / "experiments" / "a.yaml")), parse_tags((), ()))
    assert [path.stem for path in chosen.paths] == ["a", "b"]
    assert chosen.notes == ("experiments/a.yaml is named more than once, and run once",)


@pytest.mark.parametrize(
    ("named", "tags", "says"),
    [
        ((), (), "which experiments?"),
        (("",), (), "name is empty"),
        (("aa",), (), 'did you mean "a"?'),
        ((), ("",), "a tag is empty"),
        ((), ("nightly,",), "a tag is empty"),
        ((), ("nigthly",), 'did you mean "nightly"?'),
        (("theme",), ("nightly",), "no experiment of theme fits: --tag nightly"),
    ],
)
def test_what_chooses_nothing_is_an_error(
    project: Project, named: tuple[str, ...], tags: tuple[str, ...], says: str
) -> None:
    with pytest.raises(UsageError) as raised:
        names(project, *named, tags=tags)
    assert says in str(raised.value)


def test_a_folder_of_demonstrations_says_how_they_are_run(project: Project) -> None:
    (project.root / "experiments" / "theme" / "c.yaml").unlink()
    with pytest.raises(UsageError, match="is run by its name or --tag demonstration alone"):
        names(project, "theme")


def test_a_folder_without_experiments_is_an_error(project: Project, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="there is no experiment in the folder"):
        names(project, str(tmp_path / "empty"))


def test_two_files_of_one_name_are_refused_by_name_and_as_a_pair(project: Project) -> None:
    folder = project.root / "experiments"
    shutil.copy(folder / "a.yaml", folder / "theme" / "a.yaml")
    for find in (lambda: names(project, "a"), lambda: make_plan(project, "a", ())):
        with pytest.raises(UsageError, match="two experiments are named 'a'"):
            find()
    with pytest.raises(BadFile) as raised:
        make_plans(project, [folder / "a.yaml", folder / "theme" / "a.yaml"], ())
    assert "experiments/theme/a.yaml: metadata.name is 'a', as in experiments/a.yaml" in str(raised.value)


def test_a_name_that_runs_keeps_for_itself_is_refused(project: Project) -> None:
    text = (project.root / "experiments" / "a.yaml").read_text(encoding="utf-8")
    path = project.root / "experiments" / "suites.yaml"
    path.write_text(text.replace("name: a,", "name: suites,"), encoding="utf-8")
    for plan in (lambda: make_plans(project, [path], ()), lambda: make_plan(project, "suites", ())):
        with pytest.raises(BadFile, match="the name of a folder below runs/"):
            plan()


def test_a_copy_that_kept_the_name_of_the_first_is_refused_by_any_name_and_in_any_list(project: Project) -> None:
    folder = project.root / "experiments"
    shutil.copy(folder / "a.yaml", folder / "a-2.yaml")
    says = (
        "experiments/a-2.yaml:3: metadata.name is 'a', and the file's name is 'a-2'\n"
        "  write name: a-2, or rename the file to a.yaml"
    )
    for load in (
        lambda: make_plan(project, "a-2", ()),
        lambda: make_plan(project, str(folder / "theme" / ".." / "a-2.yaml"), ("load.seed=8",)),
        lambda: choose(project, (), parse_tags(("nightly",), ())),
    ):
        with pytest.raises(BadFile) as raised:
            load()
        assert str(raised.value) == says
    assert make_plan(project, "a", ()).name == "a"
    assert make_plan(project, "a-2", ("metadata.name=a-again",)).name == "a-again"


@pytest.mark.parametrize("name", ["../a", '""', '" "', ".hidden", "/tmp/a", '"a\\nb"'])
def test_a_name_that_leads_out_of_the_folder_of_recordings_is_refused(
    project: Project, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "elsewhere.yaml"
    text = (project.root / "experiments" / "a.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace("name: a,", f"name: {name},"), encoding="utf-8")
    with pytest.raises(BadFile, match=r"elsewhere.yaml:3: metadata.name: .* can't be the name of a folder below runs/"):
        make_plan(project, str(path), ())


def test_a_file_elsewhere_may_be_named_as_it_likes_but_no_two_of_a_suite_alike(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "experiments"
    elsewhere.mkdir()
    copy, other = elsewhere / "b.yaml", elsewhere / "other.yaml"
    for path in (copy, other):
        shutil.copy(project.root / "experiments" / "b.yaml", path)
    assert make_plan(project, str(other), ()).name == "b"
    monkeypatch.chdir(tmp_path)
    shown_alike = [project.root / "experiments" / "b.yaml", Path("experiments/b.yaml")]
    for paths in (shown_alike, [copy, other]):
        with pytest.raises(BadFile, match="give one of them another name"):
            make_plans(project, paths, ())


def test_all_that_is_wrong_is_said_before_anything_starts(project: Project) -> None:
    paths = project.experiment_paths()
    for path in paths[:2]:
        path.write_text(path.read_text(encoding="utf-8").replace("design: tiny", "design: tyni"), encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        make_plans(project, paths, ())
    assert "2 of 4 experiments can't be planned, nothing was started" in str(raised.value)
    assert "experiments/a.yaml" in str(raised.value)
    assert "experiments/b.yaml" in str(raised.value)
