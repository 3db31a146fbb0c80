"""`crashcart stack up|down|status|logs`, without the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.model.errors import BootError, UsageError
from crashcart.runtimes import standing
from crashcart.runtimes.ending import instance_pids, kill_all
from crashcart.runtimes.local import LocalRuntime
from tests.contract.runtime.little_stack import PROJECT, get, lone_design, nothing_is_left


@pytest.fixture(autouse=True)
def _own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_a_stack_stands_until_it_is_taken_down(runtime: LocalRuntime, tmp_path: Path) -> None:
    topology = standing.up(lone_design(), PROJECT, print, runtime=runtime)
    try:
        assert (tmp_path / "state/crashcart/stacks/lone.json").is_file()
        assert standing.find("lone") == topology
        assert standing.standing() == {"lone": topology}
        assert get(topology.proxy("shoppers[0].door[0]").listen) == "ok"
        rows = {row.instance: row for row in standing.status(topology)}
        assert set(rows) == {"door[0]", "toxiproxy", "prometheus"}
        assert all(row.ready == "" and row.pid for row in rows.values())
        assert rows["door[0]"].address == topology.instance("door[0]").address
        assert list(standing.logs(topology, "door")) == ["listening"]
        with pytest.raises(UsageError, match="stands already"):
            standing.up(lone_design(), PROJECT, print, runtime=runtime)
    finally:
        standing.down(topology)
    assert standing.find("lone") is None
    assert nothing_is_left(topology.run_id, topology.state_dir)
    standing.down(topology)


def test_an_instance_that_does_not_run_is_shown_as_such(runtime: LocalRuntime) -> None:
    topology = standing.up(lone_design(), PROJECT, print, runtime=runtime)
    try:
        data_dir = Path(topology.instance("door[0]").data_dir)
        kill_all(lambda: instance_pids(topology.run_id, "door[0]", data_dir))
        row = next(row for row in standing.status(topology) if row.instance == "door[0]")
        assert (row.pid, row.ready) == (None, "it does not run")
    finally:
        standing.down(topology)


def test_a_log_is_followed_until_the_stack_goes(runtime: LocalRuntime) -> None:
    topology = standing.up(lone_design(), PROJECT, print, runtime=runtime)
    try:
        lines = standing.logs(topology, "door[0]", follow=True)
        assert next(lines) == "listening"
        with Path(topology.instance("door[0]").log).open("a") as log:
            log.write("and more\n")
        assert next(lines) == "and more"
    finally:
        standing.down(topology)
    assert list(lines) == []


def test_a_wrong_instance_is_answered_with_those_there_are(runtime: LocalRuntime) -> None:
    topology = standing.up(lone_design(), PROJECT, print, runtime=runtime)
    try:
        with pytest.raises(UsageError, match='did you mean "toxiproxy"'):
            list(standing.logs(topology, "toxyproxy"))
    finally:
        standing.down(topology)


def test_a_stack_that_died_meanwhile_does_not_stand_in_the_way(runtime: LocalRuntime) -> None:
    first = standing.up(lone_design(), PROJECT, print, runtime=runtime)
    for instance in first.instances:
        kill_all(lambda name=instance.name, folder=instance.data_dir: instance_pids(first.run_id, name, Path(folder)))  # type: ignore[misc]
    second = standing.up(lone_design(), PROJECT, print, runtime=runtime)
    standing.down(second)
    assert nothing_is_left(first.run_id, first.state_dir)
    assert nothing_is_left(second.run_id, second.state_dir)


def test_what_does_not_come_up_does_not_stand(runtime: LocalRuntime) -> None:
    with pytest.raises(BootError) as caught:
        standing.up(lone_design({"DIES": "1"}), PROJECT, print, runtime=runtime)
    assert standing.find("lone") is None
    assert "the cellar is flooded" in (standing.stacks_dir() / "lone.logs/door[0].log").read_text()
    assert caught.value.instance == "door[0]"
