from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.tools.cache import cache_dir, move_in, remove_leftovers, remove_tree, workshop


def test_the_cache_is_the_users_own(cache: Path) -> None:
    assert cache_dir() == cache


def test_a_workshop_is_gone_afterwards_however_it_ended(tmp_path: Path) -> None:
    def spoil() -> None:
        with workshop(tmp_path) as scratch:
            (scratch / "file").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        spoil()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    move_in(tmp_path / "new", tmp_path / "old")
    assert [file.name for file in tmp_path.rglob("*")] == ["old", "new"]
    assert (tmp_path / "old" / "new").exists()


def test_read_only_folders_are_removed_too(tmp_path: Path) -> None:
    folder = tmp_path / "modules" / "module"
    folder.mkdir(parents=True)
    (folder / "file").touch()
    folder.chmod(0o500)
    folder.parent.chmod(0o500)
    remove_tree(folder.parent)
    assert list(tmp_path.iterdir()) == []


def test_removing_a_link_leaves_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / ".partial-link").symlink_to(tmp_path / "precious")
    remove_leftovers(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["precious"]
