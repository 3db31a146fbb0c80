from __future__ import annotations

import os
from pathlib import Path

import pytest

from crashcart.tools import shared
from crashcart.tools.account import ServerAccount, entrance_closed_to, server_account, unreadable_for
from crashcart.tools.shared import make_place, open_to_all, trusted

STRANGER = ServerAccount(uid=54321, gid=54321, name="stranger")
OURSELVES = ServerAccount(uid=None, gid=None, name="us")


@pytest.fixture
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that everybody can read, in one that everybody can enter: pytest's own are closed."""
    top = tmp_path_factory.mktemp("open")
    for folder in (top, *top.parents):
        if folder == top or folder.name.startswith(("pytest-", "popen-")):
            folder.chmod(0o755)
    tree = top / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin" / "postgres").touch()
    open_to_all(tree)
    return tree


def test_an_ordinary_user_runs_servers_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert server_account() == ServerAccount(None, None, "54321")


def test_root_runs_them_as_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    account = server_account()
    assert account.uid not in (None, 0)
    assert account.name in ("postgres", "nobody", "65534")


def test_a_tree_open_to_all_is_readable_for_a_stranger(tree: Path) -> None:
    assert unreadable_for(STRANGER, tree) is None


def test_a_closed_folder_on_the_way_hides_all_below_it(tree: Path) -> None:
    tree.parent.chmod(0o700)
    assert unreadable_for(STRANGER, tree) == tree.parent
    assert entrance_closed_to(STRANGER, tree) == tree.parent
    assert unreadable_for(OURSELVES, tree) is None


def test_one_unreadable_file_is_enough_and_is_named(tree: Path) -> None:
    (tree / "bin" / "postgres").chmod(0o750)
    assert unreadable_for(STRANGER, tree) == tree / "bin" / "postgres"


def test_a_folder_that_others_can_write_or_not_enter_is_not_trusted(tree: Path) -> None:
    assert trusted(tree)
    for mode in (0o775, 0o757, 0o777, 0o700):
        tree.chmod(mode)
        assert not trusted(tree)


def test_neither_a_link_nor_a_file_nor_nothing_is_trusted(tree: Path) -> None:
    link = tree.parent / "link"
    link.symlink_to(tree)
    assert not trusted(link)
    assert not trusted(tree / "bin" / "postgres")
    assert not trusted(tree / "nothing")


def test_a_link_laid_in_the_way_is_passed_over(tree: Path) -> None:
    link = tree.parent / "link"
    link.symlink_to(tree)
    place = tree.parent / "place"
    assert make_place([tree / "no" / "parent", link, place]) == place
    assert trusted(place)


def test_with_no_place_at_all_there_is_none(tree: Path) -> None:
    assert make_place([tree / "bin" / "postgres"]) is None


def test_the_places_are_root_owned_folders_of_the_system() -> None:
    assert [str(place) for place in shared.PLACES] == ["/var/cache/crashcart", "/var/tmp/crashcart"]
