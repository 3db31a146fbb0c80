"""What holds of a stack while it runs, and what can be done to it."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import asyncpg
import pytest

from crashcart.model.errors import ControlPlaneError
from crashcart.runtimes.ending import instance_pids
from crashcart.runtimes.local_stack import LocalStack
from crashcart.runtimes.procfs import process_table
from crashcart.runtimes.readiness import ask
from crashcart.runtimes.topology_file import load_topology
from crashcart.toxiproxy import ToxicSpec, Toxiproxy
from tests.contract.freezing import freeze
from tests.contract.runtime.little_stack import ask_database, get, told, until


def _pids(stack: LocalStack, instance: str) -> set[int]:
    return instance_pids(stack.topology.run_id, instance, Path(stack.topology.instance(instance).data_dir))


def test_everything_is_ready_when_it_is_up(stack: LocalStack) -> None:
    asked = {instance.name: ask(instance.kind, instance.address) for instance in stack.topology.instances}
    assert asked == dict.fromkeys(
        ["door[0]", "helper[0]", "helper[1]", "notes-db[0]", "store[0]", "toxiproxy", "prometheus"], ""
    )
    assert stack.dead() == {}


def test_a_service_sees_nothing_but_proxies(stack: LocalStack) -> None:
    linked = {key: value for key, value in told(stack, "door[0]").items() if key.startswith("LINK_")}
    assert set(linked) == {"LINK_HELPER", "LINK_NOTES_DB", "LINK_STORE"}
    told_text = " ".join(linked.values())
    assert all(proxy.listen in told_text for proxy in stack.topology.proxies if proxy.link.startswith("door."))
    assert not any(instance.address in told_text for instance in stack.topology.instances)


def test_every_proxy_carries_traffic_to_its_own_instance(stack: LocalStack) -> None:
    for proxy in stack.topology.proxies:
        kind = {"http": "process"}.get(proxy.protocol, proxy.protocol)
        assert ask(kind, proxy.listen) == "", proxy.name
    environment = get(stack.topology.proxy("door[0].helper[1]").listen, "/environment")
    assert '"SERVICE_INSTANCE": "helper[1]"' in environment


def test_a_service_is_told_what_the_contract_says(stack: LocalStack) -> None:
    environment = told(stack, "door[0]")
    assert environment["SERVICE_NAME"] == "door"
    assert environment["LISTEN_ADDRESS"] == stack.topology.instance("door[0]").address
    assert Path(environment["DATA_DIR"]).is_dir()
    assert environment["GREETING"] == "hello"
    assert environment["CRASHCART_RUN_ID"] == stack.topology.run_id
    assert environment["PYTHONPYCACHEPREFIX"]
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert environment["ADMIN_TOKEN"] == told(stack, "helper[0]")["ADMIN_TOKEN"]


def test_every_instance_leads_a_process_group_of_its_own(stack: LocalStack) -> None:
    table = process_table()
    leaders = [table[one.process.pid] for one in stack.topology.instances if one.process is not None]
    assert len(leaders) == len(stack.topology.instances)
    assert all(row.group == row.pid and row.session == row.pid for row in leaders)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as somebody else")
def test_postgres_does_not_run_as_root(stack: LocalStack) -> None:
    pids = _pids(stack, "notes-db[0]")
    assert len(pids) > 1
    assert all(Path(f"/proc/{pid}").stat().st_uid != 0 for pid in pids)


def test_nothing_listens_beyond_loopback(stack: LocalStack) -> None:
    ports = {int(address.rpartition(":")[2]) for address in _all_addresses(stack)}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
        listening = [row[1].split(":") for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) in ports]
        assert all(host == "0100007F" for host, _ in listening)


def _all_addresses(stack: LocalStack) -> list[str]:
    topology = stack.topology
    return [one.address for one in topology.instances] + [proxy.listen for proxy in topology.proxies]


def test_the_database_holds_what_its_init_files_and_commands_put_there(stack: LocalStack) -> None:
    through_the_proxy = told(stack, "door[0]")["LINK_NOTES_DB"]
    assert ask_database(through_the_proxy, "SELECT count(*) FROM notes") == 101
    assert ask_database(stack.database_address("notes-db"), "SELECT said FROM notes WHERE id = 0") == "from the command"
    assert ask_database(through_the_proxy, "SHOW max_connections") == "20"


def test_the_topology_on_disk_is_the_one_in_hand(stack: LocalStack) -> None:
    assert load_topology(stack.topology.state_dir) == stack.topology


def test_no_secret_is_where_others_may_look(stack: LocalStack) -> None:
    token, state_dir = told(stack, "door[0]")["ADMIN_TOKEN"], Path(stack.topology.state_dir)
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o711
    for instance in stack.topology.instances:
        assert stat.S_IMODE(Path(instance.spec_file).stat().st_mode) == 0o600
        assert token not in Path(instance.log).read_text()
    assert token not in (state_dir / "topology.json").read_text()


def test_a_killed_service_comes_back_at_its_address_and_is_no_surprise(stack: LocalStack) -> None:
    address, before = stack.topology.instance("helper[0]").address, _pids(stack, "helper[0]")
    stack.kill("helper[0]")
    stack.kill("helper[0]")
    assert _pids(stack, "helper[0]") == set()
    assert "refused" in ask("process", address)
    assert stack.dead() == {}
    stack.start_again("helper[0]", ready_within_s=30.0)
    stack.start_again("helper[0]", ready_within_s=30.0)
    assert get(address) == "ok"
    after = _pids(stack, "helper[0]")
    assert len(after) == 1
    assert not after & before
    assert (
        load_topology(stack.topology.state_dir).instance("helper[0]").process
        == stack.topology.instance("helper[0]").process
    )


def test_a_killed_store_comes_back_at_its_address(stack: LocalStack) -> None:
    stack.kill("store[0]")
    assert _pids(stack, "store[0]") == set()
    stack.start_again("store[0]", ready_within_s=30.0)
    assert ask("valkey", stack.topology.proxy("door[0].store[0]").listen) == ""


def test_what_was_committed_survives_the_death_of_the_database_server(stack: LocalStack) -> None:
    committed = asyncio.run(_write_until_killed(stack))
    assert _pids(stack, "notes-db[0]") == set()
    stack.start_again("notes-db[0]", ready_within_s=30.0)
    found = ask_database(stack.database_address("notes-db"), "SELECT array_agg(id) FROM notes WHERE id >= 1000")
    assert isinstance(found, list)
    assert set(found) >= set(committed)
    assert len(committed) >= 200


async def _write_until_killed(stack: LocalStack) -> list[int]:
    committed: list[int] = []
    enough = asyncio.Event()

    async def write(first: int) -> None:
        connection = await asyncpg.connect(stack.database_address("notes-db"))
        for number in range(first, first + 100_000):
            await connection.execute("INSERT INTO notes (id) VALUES ($1)", number)
            committed.append(number)
            if len(committed) >= 200:
                enough.set()

    async def kill() -> None:
        await enough.wait()
        await asyncio.to_thread(stack.kill, "notes-db[0]")

    writers = [write(1_000 + 1_000_000 * number) for number in range(4)]
    ended = await asyncio.gather(*writers, kill(), return_exceptions=True)
    assert all(isinstance(one, Exception) for one in ended[:4])
    assert ended[4] is None
    return committed


def test_cpu_counts_children_and_former_lives_and_never_decreases(stack: LocalStack) -> None:
    before = stack.cpu_s()
    assert set(before) == {instance.name for instance in stack.topology.instances}
    ask_database(stack.database_address("notes-db"), "SELECT sum(sqrt(n)) FROM generate_series(1, 2000000) AS n")
    get(stack.topology.instance("helper[1]").address, "/work")
    worked = stack.cpu_s()
    assert worked["notes-db[0]"] >= before["notes-db[0]"] + 0.05
    assert worked["helper[1]"] >= before["helper[1]"] + 0.05
    stack.kill("helper[1]")
    dead = stack.cpu_s()
    stack.start_again("helper[1]", ready_within_s=30.0)
    again = stack.cpu_s()
    assert all(worked[name] <= dead[name] <= again[name] for name in before)


def test_an_instance_that_dies_by_itself_is_reported_with_its_last_words(stack: LocalStack) -> None:
    with pytest.raises(ConnectionError):
        get(stack.topology.instance("helper[0]").address, "/exit")
    try:
        until(stack.dead)
        assert list(stack.dead()) == ["helper[0]"]
        assert stack.dead()["helper[0]"][-2:] == ("leaving without a word of farewell", "(signal 9)")
    finally:
        stack.start_again("helper[0]", ready_within_s=30.0)
    assert stack.dead() == {}


def test_a_part_of_the_harness_is_counted_watched_and_ended_with_all_it_started(stack: LocalStack) -> None:
    code = """if True:
        import os, subprocess, time
        child = subprocess.Popen(["sleep", "600"])
        while time.process_time() < 0.1:  # several ticks of the clock that CPU time is counted in
            pass
        print(os.environ["A"], flush=True)
        child.wait()
    """
    part = stack.spawn_part("load", ("{python}", "-c", code), {"A": "told"})
    until(lambda: "told" in Path(part.log).read_text())
    assert stack.topology.instance("load").kind == "load"
    assert stack.cpu_s()["load"] > 0
    assert len(_pids(stack, "load")) == 2
    stack.end_part("load")
    stack.end_part("load")
    assert _pids(stack, "load") == set()
    assert "load" not in stack.dead()


def test_a_control_plane_that_hangs_is_started_again_with_its_proxies_as_they_were(stack: LocalStack) -> None:
    client = Toxiproxy(stack.topology.toxiproxy_api, timeout_s=0.3)
    client.set_enabled("door[0].helper[0]", False)
    client.add_toxic("door[0].helper[1]", ToxicSpec("slow", "latency", attributes={"latency": 5000}))
    (hung,) = _pids(stack, "toxiproxy")
    freeze(hung)
    with pytest.raises(ControlPlaneError, match="no answer"):
        client.remove_toxic("door[0].helper[1]", "slow")
    stack.restart_toxiproxy()
    client = Toxiproxy(stack.topology.toxiproxy_api)
    states = {name: proxy.enabled for name, proxy in client.proxies().items()}
    assert states == {proxy.name: proxy.name != "door[0].helper[0]" for proxy in stack.topology.proxies}
    assert get(stack.topology.proxy("door[0].helper[1]").listen) == "ok"
    assert stack.dead() == {}
    stack.restart_toxiproxy(disabled=())
    assert get(stack.topology.proxy("door[0].helper[0]").listen) == "ok"


def test_a_file_of_an_instance_is_in_its_data_folder(stack: LocalStack) -> None:
    assert str(stack.file("door[0]", "ledger.jsonl")) == f"{told(stack, 'door[0]')['DATA_DIR']}/ledger.jsonl"
