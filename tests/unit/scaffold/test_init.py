from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.loading import open_project
from crashcart.model.errors import UsageError
from crashcart.scaffold import NAME, init


def test_a_new_project_carries_its_folders_name_and_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "Books & More"
    written = init(folder)
    project = open_project(folder)
    assert project.design_names() == ("books-more",)
    assert project.design("books-more").entry == "api"
    assert [path.stem for path in project.experiment_paths()] == ["slow-database"]
    assert len(project.slos) == 4
    assert len(project.truth.invariants) == 2
    assert all((folder / path).is_file() for path in written)
    assert not [path for path in written if NAME in (folder / path).read_text(encoding="utf-8")]


def test_a_name_can_be_given(tmp_path: Path) -> None:
    init(tmp_path / "x", "corner-shop")
    assert (tmp_path / "x/stack/designs/corner-shop.yaml").is_file()


@pytest.mark.parametrize("name", ["Shop", "my shop", "../up", "1st", "a" * 60, "shop\n"])
def test_a_name_that_would_not_do_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is not a name"):
        init(tmp_path / "x", name)
    assert not (tmp_path / "x").exists()


def test_nothing_that_is_there_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(UsageError, match="something in it already"):
        init(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="can't be written"):
        init(tmp_path / "shop")
