"""How a stack of containers comes up, or does not, and that the engine keeps nothing of it."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crashcart.model.design import Service
from crashcart.model.errors import BadFile, BootError
from crashcart.runtimes.container_leftovers import left_of
from crashcart.runtimes.containers import RUN_LABEL
from crashcart.runtimes.docker import DockerRuntime
from crashcart.runtimes.ending import end_stack, stop_topology
from crashcart.runtimes.readiness import ask
from crashcart.runtimes.stopping import pids_of
from tests.contract.docker.little_containers import (
    connecting,
    container,
    no_container_is_left,
    volumes_in,
    volumes_of,
)
from tests.contract.runtime.little_stack import (
    DATABASE,
    PROJECT,
    ask_database,
    boot,
    booted,
    copied_project,
    design,
    get,
    little_design,
    lone_design,
    new_run,
    until,
)

if TYPE_CHECKING:
    import docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

GONE_WITHIN_S = 5.0


def test_stopping_leaves_no_container_network_volume_or_folder_and_keeps_the_logs(
    client: docker.DockerClient, runtime: DockerRuntime, tmp_path: Path
) -> None:
    stack = boot(runtime, little_design(), tmp_path)
    run_id, volumes = stack.topology.run_id, volumes_of(client, stack.topology.run_id)
    assert volumes, "images of servers declare some"
    assert set(volumes) <= set(left_of(run_id)), "they can be found without their containers"
    stack.kill("helper[0]")  # never to come back
    began = time.monotonic()
    stack.stop()
    took_s = time.monotonic() - began
    assert no_container_is_left(client, run_id)
    assert set(volumes).isdisjoint(volume.name for volume in client.volumes.list())
    assert took_s < GONE_WITHIN_S
    stack.stop()
    assert {path.name for path in tmp_path.iterdir()} >= {f"{one.name}.log" for one in stack.topology.instances}
    assert [(tmp_path / f"{name}.log").read_text() for name in ("door[0]", "helper[0]")] == ["listening\n"] * 2
    assert "database system is ready to accept connections" in (tmp_path / "notes-db[0].log").read_text()


def test_two_stacks_stand_side_by_side_and_end_each_for_itself(
    client: docker.DockerClient, runtime: DockerRuntime, tmp_path: Path
) -> None:
    pair = design({"door": Service(command=("{python}", "little.py"), links=("store",), entry=True), "store": STORE})
    with booted(runtime, pair, tmp_path / "one") as one:
        with booted(runtime, pair, tmp_path / "other") as other:
            for address in (other.topology.instance("store[0]").address, *(p.listen for p in other.topology.proxies)):
                assert connecting(client, one, "door[0]", address).startswith("no way")
            other.kill("store[0]")
            assert ask("valkey", one.topology.proxy("door[0].store[0]").listen) == ""
        assert no_container_is_left(client, other.topology.run_id)
        assert one.dead() == {}
        assert all(ask(i.kind, i.address) == "" for i in one.topology.instances)
        assert ask("valkey", one.topology.proxy("door[0].store[0]").listen) == ""
    assert no_container_is_left(client, one.topology.run_id)


STORE = Service(kind="valkey")


def test_a_service_that_dies_at_boot_is_named_with_its_last_words_and_nothing_is_left(
    client: docker.DockerClient, runtime: DockerRuntime, tmp_path: Path
) -> None:
    run_id = new_run()
    with pytest.raises(BootError) as caught:
        boot(runtime, lone_design({"DIES": "1"}), tmp_path, run_id=run_id)
    assert caught.value.instance == "door[0]"
    assert "died while it started (exit status 3)" in str(caught.value)
    assert caught.value.last_lines == ("cannot go on: the cellar is flooded",)
    assert (tmp_path / "door[0].log").read_text() == "cannot go on: the cellar is flooded\n"
    assert no_container_is_left(client, run_id)


def test_a_service_that_never_gets_ready_is_named_with_what_it_said(
    client: docker.DockerClient, images: Mapping[str, str], cache: Path, tmp_path: Path
) -> None:
    impatient, run_id = DockerRuntime(images, cache=cache, ready_within_s=8.0), new_run()
    with pytest.raises(BootError, match=r"door\[0\]: was not ready within 8 s: /readyz says 503: still") as caught:
        boot(impatient, lone_design({"NEVER_READY": "1"}), tmp_path, run_id=run_id)
    assert caught.value.last_lines == ("listening",)
    assert no_container_is_left(client, run_id)


def test_a_command_that_does_not_exist_is_named_in_the_engines_words(
    client: docker.DockerClient, runtime: DockerRuntime, tmp_path: Path
) -> None:
    run_id = new_run()
    with pytest.raises(BootError, match=r"door\[0\]: its container can not be started: .*no/such/program"):
        boot(runtime, design({"door": Service(command=("/no/such/program",), entry=True)}), tmp_path, run_id=run_id)
    assert no_container_is_left(client, run_id)


def test_an_image_that_is_not_there_is_named(
    client: docker.DockerClient, images: Mapping[str, str], cache: Path, tmp_path: Path
) -> None:
    without, run_id = DockerRuntime({**images, "valkey": "crashcart-test/none:1"}, cache=cache), new_run()
    store = {"store": STORE, "door": Service(command=("{python}", "little.py"), links=("store",), entry=True)}
    with pytest.raises(BootError, match=r"store\[0\]: its container can not be started: .*crashcart-test/none:1"):
        boot(without, design(store), tmp_path, run_id=run_id)
    assert no_container_is_left(client, run_id)


def test_an_error_in_sql_is_at_its_file_and_line_and_in_the_log(
    client: docker.DockerClient, runtime: DockerRuntime, tmp_path: Path
) -> None:
    project, run_id = copied_project(tmp_path / "project"), new_run()
    (project / "schema.sql").write_text(f"CREATE TABLE a (b int); -- {secrets.token_hex(4)}\n\nCREATE TALBE c ();\n")
    with pytest.raises(BadFile, match=r"schema.sql:3: syntax error at or near \"TALBE\""):
        boot(runtime, little_design(), tmp_path / "logs", project_dir=project, run_id=run_id)
    assert "TALBE" in (tmp_path / "logs/notes-db-template.log").read_text()
    assert no_container_is_left(client, run_id)


def test_a_boot_that_is_interrupted_leaves_nothing(
    client: docker.DockerClient, runtime: DockerRuntime, tmp_path: Path
) -> None:
    run_id, project = new_run(), copied_project(tmp_path / "project")
    (project / "schema.sql").write_text(f"CREATE TABLE notes (id bigint, said text); -- {secrets.token_hex(8)}\n")

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # in the middle of making a template, which is told of
        runtime.start(
            little_design(),
            run_id=run_id,
            project_dir=project,
            log_dir=tmp_path / "logs",
            extra_scrapes={},
            progress=interrupt,
        )
    assert no_container_is_left(client, run_id)


def test_another_process_can_end_a_stack_from_its_data_alone(
    client: docker.DockerClient, runtime: DockerRuntime, tmp_path: Path
) -> None:
    stack = boot(runtime, lone_design(), tmp_path)
    topology = stack.topology
    stack.let_go()
    assert get(topology.proxy("shoppers[0].door[0]").listen) == "ok"
    code = (
        "import sys; from pathlib import Path; from crashcart.runtimes.topology_file import load_topology;"
        "from crashcart.runtimes.ending import stop_topology; stop_topology(load_topology(Path(sys.argv[1])))"
    )
    subprocess.run([sys.executable, "-c", code, topology.state_dir], cwd=PROJECT.parents[3], check=True)
    assert no_container_is_left(client, topology.run_id)
    assert (tmp_path / "door[0].log").read_text() == "listening\n"
    stop_topology(topology)


def test_a_boot_cut_short_can_be_ended_knowing_the_run_alone(
    client: docker.DockerClient, runtime: DockerRuntime, tmp_path: Path
) -> None:
    stack = boot(runtime, lone_design(), tmp_path)
    run_id, state_dir = stack.topology.run_id, Path(stack.topology.state_dir)
    stack.let_go()
    (state_dir / "topology.json").unlink()
    end_stack(run_id, state_dir, runtime="docker")
    assert no_container_is_left(client, run_id)


@pytest.mark.parametrize("looked", ["afterwards", "meanwhile"])
def test_a_container_that_is_removed_behind_our_back_is_told_and_the_rest_is_cleaned_up(
    client: docker.DockerClient, runtime: DockerRuntime, tmp_path: Path, looked: str
) -> None:
    with booted(runtime, lone_design(), tmp_path) as stack:
        removing = threading.Thread(target=lambda: container(client, stack, "door[0]").remove(force=True))
        removing.start()
        if looked == "afterwards":
            removing.join()
        until(stack.dead)
        removing.join()
        assert stack.dead()["door[0]"][-1] == "(its container was removed from the engine by somebody else)"
        assert stack.removed() == {"door[0]"}
        assert pids_of(stack.topology, "door[0]") == set()
    assert no_container_is_left(client, stack.topology.run_id)


def test_who_was_killed_and_whom_we_removed_ourselves_was_not_taken_away(
    runtime: DockerRuntime, tmp_path: Path
) -> None:
    with booted(runtime, lone_design(), tmp_path) as stack:
        (pid,) = pids_of(stack.topology, "door[0]")
        os.kill(pid, signal.SIGKILL)
        until(stack.dead)
        assert stack.dead()["door[0]"][-1] == "(signal 9)"
        assert stack.removed() == set()
    assert stack.removed() == set()


def test_a_database_whose_container_was_removed_leaves_no_volume(
    client: docker.DockerClient, runtime: DockerRuntime, tmp_path: Path
) -> None:
    door = Service(command=("{python}", "little.py"), links=("notes-db",), entry=True)
    with booted(runtime, design({"door": door, "notes-db": DATABASE}), tmp_path) as stack:
        database = container(client, stack, "notes-db[0]")
        orphans = volumes_in(database)
        assert orphans, "its image declares one"
        database.remove(force=True)
        assert set(orphans) <= {one.name for one in client.volumes.list()}, "it stays where nobody asks for its removal"
    assert set(orphans).isdisjoint(one.name for one in client.volumes.list())
    assert no_container_is_left(client, stack.topology.run_id)


def test_a_container_of_somebody_else_that_has_the_name_is_neither_started_nor_removed(
    client: docker.DockerClient, runtime: DockerRuntime, images: Mapping[str, str], tmp_path: Path
) -> None:
    run_id = new_run()
    name = f"crashcart-{run_id}-door-0"
    other = client.containers.create(images["process"], ["sleep", "600"], name=name, labels={RUN_LABEL: "another"})
    try:
        with pytest.raises(BootError, match=rf"door\[0\]: there is a container {name} already") as caught:
            boot(runtime, lone_design(), tmp_path, run_id=run_id)
        assert caught.value.remedy == f"find out whose it is; `docker rm -f {name}` removes it"
        other.reload()
        assert other.status == "created"
    finally:
        other.remove(force=True)
    assert no_container_is_left(client, run_id)


def test_a_container_that_was_removed_can_be_started_again_at_its_address(
    client: docker.DockerClient, runtime: DockerRuntime, tmp_path: Path
) -> None:
    with booted(runtime, lone_design(), tmp_path) as stack:
        container(client, stack, "door[0]").remove(force=True)
        until(stack.dead)
        stack.start_again("door[0]", ready_within_s=60.0)
        assert get(stack.topology.proxy("shoppers[0].door[0]").listen) == "ok"
        assert stack.dead() == {}
    assert no_container_is_left(client, stack.topology.run_id)


def test_what_one_stack_writes_the_next_does_not_see(runtime: DockerRuntime, tmp_path: Path) -> None:
    door = Service(command=("{python}", "little.py"), links=("notes-db",), entry=True)
    for _ in range(2):
        with booted(runtime, design({"door": door, "notes-db": DATABASE}), tmp_path) as stack:
            address = stack.database_address("notes-db")
            assert ask_database(address, "SELECT count(*) FROM notes") == 101
            ask_database(address, "INSERT INTO notes (id) VALUES (5000)")


def test_a_port_that_the_design_fixes_is_where_it_listens(runtime: DockerRuntime, tmp_path: Path) -> None:
    with booted(runtime, lone_design({"LISTEN_ADDRESS": "127.0.0.1:7001"}), tmp_path) as stack:
        address = stack.topology.instance("door[0]").address
        assert address.endswith(":7001")
        assert get(address) == "ok"
        assert get(stack.topology.proxy("shoppers[0].door[0]").listen) == "ok"
