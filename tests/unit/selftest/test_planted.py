"""What `defects.yaml` may say, and the designs that are made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.loading import Project, open_project
from crashcart.model.errors import BadFile, UsageError
from crashcart.model.verdict import Outcome
from crashcart.selftest.overlay import design_name, lay_over
from crashcart.selftest.planted import FILE, FOLDER, read_planted

ROOT = Path(__file__).parents[3]
TINY = ROOT / "tests" / "projects" / "tiny"
GOOD = """\
apiVersion: crashcart/v1
kind: Defects
settings:
  gone: {experiment: shelf-gone, set: [timeline.warmup=1s]}
defects:
  never-there:
    is: the shelf is never there
    service: shelf
    command: ["{python}", -m, shelf_that_is_gone]
    shown-by: gone
    caught-by: slo/purchase-success/baseline
    verdict: inconclusive
"""


@pytest.fixture(scope="module")
def tiny() -> Project:
    return open_project(TINY)


def written(folder: Path, text: str) -> Path:
    (folder / FILE).write_text(text, encoding="utf-8")
    return folder


def test_what_is_declared_is_read(tmp_path: Path, tiny: Project) -> None:
    planted = read_planted(written(tmp_path, GOOD), tiny)
    assert planted.settings["gone"].set == ("timeline.warmup=1s",)
    defect = planted.defects["never-there"]
    assert (defect.is_, defect.verdict) == ("the shelf is never there", Outcome.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("shelf-gone", "shelf-gome", "there is no experiment 'shelf-gome'"),
        ("timeline.warmup=1s", "timeline.warmup", "says no value"),
        ("service: shelf", "service: shelv", "there is no service with a command 'shelv'"),
        ("shown-by: gone", "shown-by: here", "there is no setting 'here'"),
        ("slo/purchase-success/baseline", "slo/purchase-success", "there is no check of that experiment"),
        ("slo/purchase-success/baseline", "invariant/no-order-lots", 'did you mean "invariant/no-order-lost"?'),
        ('["{python}", -m, shelf_that_is_gone]', "[]", "there is no command"),
        ("never-there:", "Never:", "'Never' can't be a defect's name"),
        ("is: the shelf", "si: the shelf", "defects.never-there"),
    ],
)
def test_what_can_not_be_is_told_with_its_file(tmp_path: Path, tiny: Project, good: str, bad: str, said: str) -> None:
    with pytest.raises(BadFile) as refused:
        read_planted(written(tmp_path, GOOD.replace(good, bad)), tiny)
    assert said in str(refused.value)
    assert FILE in str(refused.value)


def test_a_folder_without_defects_is_told_so(tmp_path: Path, tiny: Project) -> None:
    with pytest.raises(UsageError, match=FILE):
        read_planted(tmp_path, tiny)


def test_the_project_is_laid_over_with_one_more_design_and_nothing_of_it_is_copied(
    tmp_path: Path, tiny: Project
) -> None:
    planted = read_planted(written(tmp_path, GOOD), tiny)
    folder = lay_over(tiny, planted, tmp_path / "project")
    over = open_project(folder)
    assert set(over.design_names()) == {*tiny.design_names(), design_name("never-there")}
    clean, altered = tiny.design("tiny"), over.design(design_name("never-there"))
    assert altered.services["shelf"].command == ("{python}", "-m", "shelf_that_is_gone")
    assert altered.services["shelf"].links == clean.services["shelf"].links
    others = clean.services.keys() - {"shelf"}
    assert {name: altered.services[name] for name in others} == {name: clean.services[name] for name in others}
    copied = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path.name for path in copied] == [f"{design_name('never-there')}.yaml"]
    assert over.experiment("shelf-gone").experiment == tiny.experiment("shelf-gone").experiment


def test_it_is_made_anew_each_time(tmp_path: Path, tiny: Project) -> None:
    planted = read_planted(written(tmp_path, GOOD), tiny)
    (lay_over(tiny, planted, tmp_path / "project") / "left-over").touch()
    assert not (lay_over(tiny, planted, tmp_path / "project") / "left-over").exists()


def test_the_folder_may_be_inside_the_project(tmp_path: Path) -> None:
    for name in ("stack/designs", "experiments", "loadtests", "results"):
        (tmp_path / name).mkdir(parents=True)
    project = open_project(tmp_path)
    nothing = read_planted(
        written(tmp_path, "apiVersion: crashcart/v1\nkind: Defects\nsettings: {}\ndefects: {}\n"), project
    )
    folder = lay_over(project, nothing, tmp_path / "results" / "project")
    assert not (folder / "results").exists()


def test_the_shops_own_defects_are_declared_rightly_and_are_enough() -> None:
    planted = read_planted(ROOT / FOLDER, open_project(ROOT))
    assert len(planted.defects) >= 24
    assert {one.shown_by for one in planted.defects.values()} == set(planted.settings)
