"""The engine keeps what a container prints: it can be read and followed while the container lives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crashcart.model.errors import BootError
from crashcart.runtimes import standing
from crashcart.runtimes.container_logs import follow_log
from crashcart.runtimes.docker import DockerRuntime
from tests.contract.docker.little_containers import container, no_container_is_left
from tests.contract.runtime.little_stack import PROJECT, booted, get, lone_design, until

if TYPE_CHECKING:
    import docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]


def test_a_standing_stacks_log_is_read_and_followed_until_it_goes(
    client: docker.DockerClient, runtime: DockerRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    topology = standing.up(lone_design(), PROJECT, print, runtime=runtime)
    try:
        assert standing.find("lone") == topology
        assert list(standing.logs(topology, "door")) == ["listening"]
        lines = standing.logs(topology, "door", follow=True)
        assert next(lines) == "listening"
        rows = {row.instance: row for row in standing.status(topology)}
        assert all(row.ready == "" and row.pid for row in rows.values()), rows
    finally:
        standing.down(topology)
    assert list(lines) == []
    assert standing.find("lone") is None
    assert no_container_is_left(client, topology.run_id)
    with pytest.raises(BootError, match="the stack is gone"):
        list(standing.logs(topology, "door"))


def test_a_log_is_followed_into_the_next_life_without_a_line_twice(
    client: docker.DockerClient, runtime: DockerRuntime, tmp_path: Path
) -> None:
    with booted(runtime, lone_design(), tmp_path) as stack:
        folder = Path(stack.topology.state_dir)
        name = str(container(client, stack, "door[0]").name)
        lines = follow_log(client.api, name, lines=50, stands=folder.exists)
        assert next(lines) == "listening"
        with pytest.raises(ConnectionError):
            get(stack.topology.instance("door[0]").address, "/leave")
        assert next(lines) == "leaving by the back door"
        until(stack.dead)
        stack.start_again("door[0]", ready_within_s=60.0)
        assert next(lines) == "listening"
        stack.kill("door[0]")
        stack.start_again("door[0]", ready_within_s=60.0)
        assert next(lines) == "listening"
        told = ["listening", "leaving by the back door", "listening", "listening"]
        for most in (50, 2):
            assert list(follow_log(client.api, name, lines=most, stands=lambda: False)) == told[-most:]
    assert list(lines) == []
    assert (tmp_path / "door[0].log").read_text().splitlines() == told


def test_of_a_container_that_never_was_there_is_nothing_to_tell(client: docker.DockerClient) -> None:
    assert list(follow_log(client.api, "crashcart-never-was-0", lines=5, stands=lambda: False)) == []
