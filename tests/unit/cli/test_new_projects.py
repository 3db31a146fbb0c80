"""What the command line says of a project that is new: the line to type next, and which design it means."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from crashcart.cli import cli
from crashcart.model.errors import UsageError


def _call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_the_line_to_type_next_can_be_pasted_whatever_the_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "my shop; and more"
    said = _call("init", str(folder)).output.splitlines()[-1]
    assert shlex.split(said) == ["crashcart", "--project", str(folder), "run", "slow-database"]


def test_the_only_design_of_a_project_need_not_be_named(tmp_path: Path) -> None:
    _call("init", str(tmp_path / "books"))
    assert "the design books" in _call("--project", str(tmp_path / "books"), "stack", "down").output


def test_of_several_designs_one_must_be_named(tmp_path: Path) -> None:
    _call("init", str(tmp_path / "books"))
    designs = tmp_path / "books/stack/designs"
    shutil.copy(designs / "books.yaml", designs / "other.yaml")
    done = _call("--project", str(tmp_path / "books"), "stack", "down")
    assert isinstance(done.exception, UsageError)
    assert done.exception.remedy == "say --design with one of: books, other"
