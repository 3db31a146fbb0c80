"""What holds of a stack of containers while it runs, and what can be done to it. Nobody but Toxiproxy is reachable."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crashcart.model.errors import ControlPlaneError
from crashcart.runtimes.containers import RUN_LABEL
from crashcart.runtimes.readiness import ask
from crashcart.runtimes.stopping import pids_of
from crashcart.runtimes.topology_file import load_topology
from crashcart.safety.worlds import StackWorld
from crashcart.toxiproxy import ToxicSpec, Toxiproxy
from tests.contract.docker.little_containers import connecting, container, containers, inspected
from tests.contract.freezing import freeze
from tests.contract.runtime.little_stack import ask_database, get, told, until

if TYPE_CHECKING:
    import docker

    from crashcart.runtimes.local_stack import LocalStack

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

PARTS = ["door[0]", "helper[0]", "helper[1]", "notes-db[0]", "store[0]", "toxiproxy", "prometheus"]
TEMPLATE = {"notes-db-initdb", "notes-db-server"}
READY_S = 60.0


def test_everything_is_ready_when_it_is_up(stack: LocalStack) -> None:
    asked = {instance.name: ask(instance.kind, instance.address) for instance in stack.topology.instances}
    assert asked == dict.fromkeys(PARTS, "")
    assert stack.dead() == {}
    assert stack.topology.runtime == "docker"
    assert load_topology(stack.topology.state_dir) == stack.topology


def test_every_instance_is_a_container_that_carries_the_runs_label(
    client: docker.DockerClient, stack: LocalStack
) -> None:
    found = containers(client, stack.topology.run_id)
    assert sorted(one.labels["crashcart.instance"] for one in found if one.status == "running") == sorted(PARTS)
    # and what has made the databases' template, over by now
    assert {one.labels["crashcart.instance"] for one in found if one.status != "running"} <= TEMPLATE
    networks = client.networks.list(filters={"label": f"{RUN_LABEL}={stack.topology.run_id}"})
    assert {str(one.name).rpartition("-")[2] for one in networks} == {"edge", "leaves", "door"}


def test_a_service_is_told_what_the_contract_says_and_no_address_but_proxies(stack: LocalStack) -> None:
    environment = told(stack, "door[0]")
    assert environment["SERVICE_NAME"] == "door"
    assert environment["GREETING"] == "hello"
    assert environment["LISTEN_ADDRESS"] == stack.topology.instance("door[0]").address
    assert environment["DATA_DIR"] == stack.topology.instance("door[0]").data_dir
    assert environment["CRASHCART_RUN_ID"] == stack.topology.run_id
    assert environment["ADMIN_TOKEN"] == told(stack, "helper[0]")["ADMIN_TOKEN"]
    links = {key: value for key, value in environment.items() if key.startswith("LINK_")}
    assert set(links) == {"LINK_HELPER", "LINK_NOTES_DB", "LINK_STORE"}
    text = " ".join(links.values())
    assert all(proxy.listen in text for proxy in stack.topology.proxies if proxy.link.startswith("door."))
    assert not any(instance.address in text for instance in stack.topology.instances)


def test_a_dependency_is_reached_through_its_proxy_and_no_other_way(
    client: docker.DockerClient, stack: LocalStack
) -> None:
    topology = stack.topology
    for proxy in (one for one in topology.proxies if one.link.startswith("door.")):
        assert connecting(client, stack, "door[0]", proxy.listen) == "connected", proxy.name
        assert connecting(client, stack, "door[0]", proxy.upstream).startswith("no way"), proxy.name


def test_no_service_reaches_the_control_plane_the_shoppers_door_or_this_machine(
    client: docker.DockerClient, stack: LocalStack
) -> None:
    topology = stack.topology
    api = topology.toxiproxy_api.removeprefix("http://")
    prometheus = topology.instance("prometheus").address
    door = topology.proxy("shoppers[0].door[0]").listen
    for address in (api, door, prometheus):
        assert connecting(client, stack, "door[0]", address).startswith("no way"), address


def test_every_proxy_carries_traffic_to_its_own_instance(stack: LocalStack) -> None:
    for proxy in stack.topology.proxies:
        assert ask({"http": "process"}.get(proxy.protocol, proxy.protocol), proxy.listen) == "", proxy.name
    environment = get(stack.topology.proxy("door[0].helper[1]").listen, "/environment")
    assert '"SERVICE_INSTANCE": "helper[1]"' in environment


def test_nothing_is_published_and_nothing_of_it_listens_on_this_machine_beyond_loopback(
    client: docker.DockerClient, stack: LocalStack
) -> None:
    for name in PARTS:
        found = inspected(client, stack, name)
        assert not found["HostConfig"]["PortBindings"], name
        assert not found["HostConfig"]["PublishAllPorts"], name
        assert not any((found["NetworkSettings"]["Ports"] or {}).values()), name
    port = int(stack.topology.instance("prometheus").address.rpartition(":")[2])
    ports = {port, *(int(proxy.listen.rpartition(":")[2]) for proxy in stack.topology.proxies)}
    hosts = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
        listening = [row[1].split(":") for row in rows if row[3] == "0A"]
        hosts += [host for host, number in listening if int(number, 16) in ports]
    assert hosts == ["0100007F"], "Prometheus, on loopback"


def test_every_network_is_closed_to_the_world(client: docker.DockerClient, stack: LocalStack) -> None:
    networks = client.networks.list(filters={"label": f"{RUN_LABEL}={stack.topology.run_id}"})
    assert networks
    assert all(one.attrs["Internal"] for one in networks)


@pytest.mark.parametrize("name", PARTS)
def test_a_container_has_no_rights_that_it_does_not_need(
    client: docker.DockerClient, stack: LocalStack, name: str
) -> None:
    found = inspected(client, stack, name)
    host = found["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert "no-new-privileges" in host["SecurityOpt"]
    assert found["Config"]["User"].partition(":")[0] not in ("", "0", "root")
    process = stack.topology.instance(name).process
    assert process is not None
    rows = (line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    status = {key: value.split() for key, value in rows}
    assert set(status["Uid"]).isdisjoint({"0"})
    assert set(status["Gid"]).isdisjoint({"0"})
    assert (status["CapEff"], status["CapBnd"]) == (["0000000000000000"], ["0000000000000000"])
    assert status["NoNewPrivs"] == ["1"]


def test_a_service_writes_to_its_data_folder_and_to_scratch_and_nowhere_else(
    client: docker.DockerClient, stack: LocalStack
) -> None:
    folder = stack.topology.instance("door[0]").data_dir
    door = container(client, stack, "door[0]")
    for path, allowed in ((f"{folder}/ledger", True), ("/tmp/scratch", True), ("/srv/little/x", False), ("/x", False)):
        said = door.exec_run(["python", "-c", "import sys; open(sys.argv[1], 'w').write('kept')", path])
        assert (said.exit_code == 0) is allowed, (path, said.output)
    assert stack.file("door[0]", "ledger").read_text() == "kept"


def test_the_database_holds_what_its_init_files_and_commands_put_there(stack: LocalStack) -> None:
    address = told(stack, "door[0]")["LINK_NOTES_DB"]
    assert ask_database(address, "SELECT count(*) FROM notes") == 101
    assert ask_database(stack.database_address("notes-db"), "SELECT said FROM notes WHERE id = 0") == "from the command"
    assert ask_database(address, "SHOW max_connections") == "20"


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_what_was_ended_comes_back_at_its_address_and_is_no_surprise(stack: LocalStack, how: str) -> None:
    address, before = stack.topology.instance("helper[0]").address, pids_of(stack.topology, "helper[0]")
    for _ in range(2):
        stack.kill("helper[0]") if how == "kill" else stack.terminate("helper[0]", drain_s=5.0)
    assert pids_of(stack.topology, "helper[0]") == set()
    assert ask("process", address) != ""
    assert stack.dead() == {}
    for _ in range(2):
        stack.start_again("helper[0]", ready_within_s=READY_S)
    assert get(address) == "ok"
    after = pids_of(stack.topology, "helper[0]")
    assert len(after) == 1
    assert not after & before
    assert get(stack.topology.proxy("door[0].helper[0]").listen) == "ok"
    assert load_topology(stack.topology.state_dir) == stack.topology


def test_a_service_that_is_asked_to_end_does_so_in_good_order(client: docker.DockerClient, stack: LocalStack) -> None:
    stack.terminate("helper[0]", drain_s=5.0)
    try:
        assert inspected(client, stack, "helper[0]")["State"]["ExitCode"] == 0
    finally:
        stack.start_again("helper[0]", ready_within_s=READY_S)


def test_what_was_committed_survives_the_death_of_the_database_server(stack: LocalStack) -> None:
    ask_database(stack.database_address("notes-db"), "INSERT INTO notes (id) VALUES (7000)")
    stack.kill("notes-db[0]")
    assert pids_of(stack.topology, "notes-db[0]") == set()
    stack.start_again("notes-db[0]", ready_within_s=READY_S)
    address = told(stack, "door[0]")["LINK_NOTES_DB"]
    assert ask_database(address, "SELECT count(*) FROM notes WHERE id = 7000") == 1
    ask_database(address, "DELETE FROM notes WHERE id = 7000")


def test_a_paused_service_answers_nobody_until_it_is_continued(stack: LocalStack) -> None:
    world, address = StackWorld(stack), stack.topology.instance("helper[0]").address
    world.pause("helper[0]")
    try:
        assert "no answer within" in ask("process", address)
    finally:
        world.resume("helper[0]")
        world.resume("helper[0]")
    until(lambda: ask("process", address) == "")
    assert stack.dead() == {}


def test_a_control_plane_that_hangs_is_started_again_with_its_proxies_as_they_were(stack: LocalStack) -> None:
    client = Toxiproxy(stack.topology.toxiproxy_api, timeout_s=1.0)
    client.set_enabled("door[0].helper[0]", False)
    client.add_toxic("door[0].helper[1]", ToxicSpec("slow", "latency", attributes={"latency": 5000}))
    (hung,) = pids_of(stack.topology, "toxiproxy")
    freeze(hung)
    with pytest.raises(ControlPlaneError, match="no answer"):
        client.remove_toxic("door[0].helper[1]", "slow")
    stack.restart_toxiproxy()
    client = Toxiproxy(stack.topology.toxiproxy_api)
    states = {name: proxy.enabled for name, proxy in client.proxies().items()}
    assert states == {proxy.name: proxy.name != "door[0].helper[0]" for proxy in stack.topology.proxies}
    assert get(stack.topology.proxy("door[0].helper[1]").listen) == "ok"
    stack.restart_toxiproxy(disabled=())
    assert get(stack.topology.proxy("door[0].helper[0]").listen) == "ok"
    assert stack.dead() == {}


def test_cpu_counts_children_and_former_lives_and_never_decreases(stack: LocalStack) -> None:
    before = stack.cpu_s()
    assert set(before) == set(PARTS)
    ask_database(stack.database_address("notes-db"), "SELECT sum(sqrt(n)) FROM generate_series(1, 2000000) AS n")
    get(stack.topology.instance("helper[1]").address, "/work")
    worked = stack.cpu_s()
    assert worked["notes-db[0]"] >= before["notes-db[0]"] + 0.05
    assert worked["helper[1]"] >= before["helper[1]"] + 0.05
    stack.kill("helper[1]")
    dead = stack.cpu_s()
    stack.start_again("helper[1]", ready_within_s=READY_S)
    again = stack.cpu_s()
    assert all(worked[name] <= dead[name] <= again[name] for name in before)


def test_bytes_are_counted_of_those_who_have_networks_of_their_own(stack: LocalStack) -> None:
    before = stack.io_bytes()
    assert set(before) == set(PARTS) - {"prometheus"}
    get(stack.topology.instance("helper[1]").address, "/environment")
    after = stack.io_bytes()["helper[1]"]
    assert after["received"] > before["helper[1]"]["received"]
    assert after["sent"] > before["helper[1]"]["sent"] + 100
    assert min(after["read"], after["written"]) >= 0


def test_an_instance_that_dies_by_itself_is_reported_with_its_last_words(stack: LocalStack) -> None:
    with pytest.raises(ConnectionError):
        get(stack.topology.instance("helper[0]").address, "/leave")
    try:
        until(stack.dead)
        assert list(stack.dead()) == ["helper[0]"]
        assert stack.dead()["helper[0]"][-2:] == ("leaving by the back door", "(exit status 4)")
    finally:
        stack.start_again("helper[0]", ready_within_s=READY_S)
    assert stack.dead() == {}


def test_an_instance_that_somebody_kills_is_reported_with_its_last_words(stack: LocalStack) -> None:
    (pid,) = pids_of(stack.topology, "helper[1]")
    os.kill(pid, signal.SIGKILL)
    try:
        until(stack.dead)
        assert list(stack.dead()) == ["helper[1]"]
        assert stack.dead()["helper[1]"][-2:] == ("listening", "(signal 9)")
    finally:
        stack.start_again("helper[1]", ready_within_s=READY_S)
    assert stack.dead() == {}


def test_no_secret_is_where_others_may_look(stack: LocalStack) -> None:
    token, state_dir = told(stack, "door[0]")["ADMIN_TOKEN"], Path(stack.topology.state_dir)
    assert state_dir.stat().st_mode & 0o777 == 0o711
    assert all(Path(one.spec_file).stat().st_mode & 0o777 == 0o600 for one in stack.topology.instances)
    assert token not in (state_dir / "topology.json").read_text()
