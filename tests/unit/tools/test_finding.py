from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crashcart.model.errors import MissingTool
from crashcart.tools import Tool, postgres, prometheus, toxiproxy, valkey
from tests.unit.tools.fake_programs import VERSIONS, Program, write_postgres, write_program

FINDERS: dict[str, Callable[[], Tool]] = {
    "valkey-server": valkey.find,
    "toxiproxy-server": toxiproxy.find,
    "prometheus": prometheus.find,
}


@pytest.mark.parametrize("name", FINDERS)
def test_a_program_on_path_is_used(program: Program, name: str) -> None:
    there = program(name, f"echo '{VERSIONS[name]}'")
    tool = FINDERS[name]()
    assert (tool.path, tool.origin) == (there, "PATH")
    assert tool.version in VERSIONS[name]


@pytest.mark.parametrize("name", FINDERS)
def test_one_that_is_too_old_is_refused_and_the_error_says_so(program: Program, name: str) -> None:
    program(name, "echo version 1.0.0")
    with pytest.raises(MissingTool, match=r"is 1\.0\.0, at least") as caught:
        FINDERS[name]()
    assert caught.value.remedy


@pytest.mark.parametrize("name", FINDERS)
def test_without_any_the_error_has_a_remedy_and_names_the_variable(path: Path, name: str) -> None:
    with pytest.raises(MissingTool, match="is not available") as caught:
        FINDERS[name]()
    assert "CRASHCART_" in caught.value.remedy


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        (valkey.VARIABLE, "valkey-server"),
        (toxiproxy.VARIABLE, "toxiproxy-server"),
        (prometheus.VARIABLE, "prometheus"),
    ],
)
def test_what_the_variable_names_comes_before_path(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, name: str
) -> None:
    program(name, f"echo '{VERSIONS[name]}'")
    named = write_program(tmp_path / "mine", "echo version 99.1")
    monkeypatch.setenv(variable, str(named))
    tool = FINDERS[name]()
    assert (tool.path, tool.version, tool.origin) == (named, "99.1", variable)


def test_a_variable_that_names_nothing_is_an_error_even_if_path_has_one(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("toxiproxy-server", f"echo '{VERSIONS['toxiproxy-server']}'")
    monkeypatch.setenv(toxiproxy.VARIABLE, "/nowhere/toxiproxy")
    with pytest.raises(MissingTool, match="/nowhere/toxiproxy") as caught:
        toxiproxy.find()
    assert toxiproxy.VARIABLE in caught.value.remedy


def test_postgres_is_its_bin_folder(path: Path) -> None:
    write_postgres(path)
    assert postgres.find() == Tool("postgres", "18.6", path, "PATH")


def test_a_client_without_a_server_is_no_postgres(program: Program) -> None:
    program("postgres", f"echo '{VERSIONS['postgres']}'")
    with pytest.raises(MissingTool, match="has no initdb and no pg_ctl"):
        postgres.find()


def test_the_newest_server_of_the_distribution_is_taken(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "DISTRIBUTIONS", tmp_path / "lib")
    for major in (9, 15, 17):
        write_postgres(tmp_path / "lib" / str(major) / "bin", version=f"postgres (PostgreSQL) {major}.2")
    assert postgres.find().version == "17.2"


def test_a_postgres_of_another_age_is_refused(path: Path) -> None:
    write_postgres(path, version="postgres (PostgreSQL) 11.3")
    with pytest.raises(MissingTool, match=r"is 11\.3, at least 15\.0"):
        postgres.find()


def test_the_folder_named_for_postgres_must_hold_a_server(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_postgres(path)
    monkeypatch.setenv(postgres.VARIABLE, str(tmp_path))
    with pytest.raises(MissingTool, match="has no postgres"):
        postgres.find()
