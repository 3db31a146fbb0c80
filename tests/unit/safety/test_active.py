from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.model.errors import UsageError
from crashcart.processes import boot_id, own_ref
from crashcart.safety.active import (
    ActiveRun,
    abort_requested,
    active_runs,
    forget,
    read_active,
    register,
    request_abort,
    unreadable_records,
)
from crashcart.statehome import state_home


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "crashcart" / "active"


def _run(run_id: str, **changed: str) -> ActiveRun:
    return ActiveRun(run_id, boot_id(), own_ref(), "/r/faultlog.jsonl", "/r", **changed)  # type: ignore[arg-type]


def test_runs_are_registered_changed_and_forgotten(home: Path) -> None:
    assert active_runs() == ()
    register(_run("one"))
    register(_run("two"))
    register(_run("one", state_dir="/tmp/s"))
    assert {run.run_id: run.state_dir for run in active_runs()} == {"one": "/tmp/s", "two": ""}
    forget("one")
    forget("one")
    assert read_active("one") is None
    assert [run.run_id for run in active_runs()] == ["two"]
    assert [path.name for path in home.iterdir()] == ["two.json"]


def test_an_unreadable_record_is_no_run_and_is_told(home: Path) -> None:
    register(_run("one"))
    (home / "odd.json").write_text('{"run_id": 3}')
    assert [run.run_id for run in active_runs()] == ["one"]
    assert unreadable_records() == (home / "odd.json",)


def test_an_abort_reaches_the_run_it_is_meant_for_and_no_other() -> None:
    register(_run("one"))
    register(_run("two"))
    request_abort("one")
    assert abort_requested("one")
    assert not abort_requested("two")
    forget("one")
    register(_run("one"))
    assert not abort_requested("one")


def test_an_abort_of_no_run_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="no run is under way"):
        request_abort("one")
    register(_run("two"))
    with pytest.raises(UsageError, match="under way: two"):
        request_abort("one")


@pytest.mark.parametrize("run_id", ["", "../../etc/passwd", "a/b", ".hidden", "a b"])
def test_what_is_no_run_id_touches_no_file(run_id: str) -> None:
    with pytest.raises(UsageError, match="is not the id of a run"):
        request_abort(run_id)


def test_a_state_home_that_can_not_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="set XDG_STATE_HOME"):
        register(_run("one"))


def test_a_relative_state_home_is_ignored_as_the_specification_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "here")
    assert state_home() == Path.home() / ".local/state/crashcart"
