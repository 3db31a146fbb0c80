"""When a template may be used again, and when it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.model.design import Init
from crashcart.model.errors import BadFile
from crashcart.runtimes.template_key import template_key

INIT = Init(sql=("stack/db/schema.sql",), commands=(("{python}", "-m", "stack.db.seed"), ("./fill.sh", "--fast")))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in (
        "stack/db/schema.sql",
        "stack/db/seed.py",
        "stack/catalogue.py",
        "stack/words.txt",
        "fill.sh",
        "other.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def _key(project: Path, init: Init = INIT, made_by: str = "18.6") -> str:
    return template_key(init, project, made_by=(made_by,))


def test_the_same_content_has_the_same_key(project: Path) -> None:
    assert _key(project) == _key(project)


@pytest.mark.parametrize(
    "changed", ["stack/db/schema.sql", "stack/db/seed.py", "stack/catalogue.py", "stack/words.txt", "fill.sh"]
)
def test_a_change_in_what_it_was_made_from_gives_another_key(project: Path, changed: str) -> None:
    before = _key(project)
    (project / changed).write_text("changed")
    assert _key(project) != before


def test_a_new_file_in_the_commands_package_gives_another_key(project: Path) -> None:
    before = _key(project)
    (project / "stack/prices.csv").write_text("1,2")
    assert _key(project) != before


def test_another_server_version_gives_another_key(project: Path) -> None:
    assert _key(project) != _key(project, made_by="15.4")


def test_other_words_of_a_command_give_another_key(project: Path) -> None:
    other = Init(sql=INIT.sql, commands=(INIT.commands[0], ("./fill.sh", "--slow")))
    assert _key(project) != _key(project, other)


@pytest.mark.parametrize("irrelevant", ["other.py", "stack/designs/reference.yaml", "stack/db/__pycache__/seed.pyc"])
def test_a_change_elsewhere_gives_the_same_key(project: Path, irrelevant: str) -> None:
    before = _key(project)
    path = project / irrelevant
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("changed")
    assert _key(project) == before


def test_without_commands_only_the_sql_counts(project: Path) -> None:
    init = Init(sql=INIT.sql)
    before = _key(project, init)
    (project / "stack/db/seed.py").write_text("changed")
    assert _key(project, init) == before


def test_a_missing_sql_file_is_named(project: Path) -> None:
    with pytest.raises(BadFile, match=r"stack/db/none\.sql"):
        _key(project, Init(sql=("stack/db/none.sql",)))
