"""Pieces of the runtime that need no server."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from crashcart.model.errors import BootError
from crashcart.model.topology import Instance, ProcessRef, Topology
from crashcart.runtimes import state_dir
from crashcart.runtimes.local import LocalRuntime
from crashcart.runtimes.precedence import NICE, come_first
from crashcart.runtimes.procfs import Process, family
from crashcart.runtimes.servers import prometheus_argv, valkey_argv
from crashcart.runtimes.spec import SpawnSpec, base_environment, read_spec, write_spec
from crashcart.runtimes.starting import Cancelled, Starter, last_lines
from crashcart.runtimes.timeline import Mark, drawing
from crashcart.runtimes.topology_file import load_topology, save_topology


def _process(pid: int, parent: int, group: int | None = None, session: int | None = None) -> Process:
    return Process(pid, "p", "S", parent, group or pid, session or pid, 0.0)


def test_a_family_is_group_session_and_descendants_with_sessions_of_their_own() -> None:
    rows = [
        _process(10, 1),
        _process(11, 1, group=10, session=10),
        _process(12, 1, session=10),
        _process(13, 10),
        _process(14, 13),
        _process(20, 1),
        _process(21, 20),
    ]
    assert family({10}, {row.pid: row for row in rows}) == {10, 11, 12, 13, 14}


def test_a_spec_is_private_and_reads_back(tmp_path: Path) -> None:
    spec = SpawnSpec("a[0]", ("x", "y z"), {"ADMIN_TOKEN": "secret"}, "/", "/tmp/a.log", 12, 13)
    path = tmp_path / "a[0].json"
    write_spec(path, spec)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_spec(path) == spec


def test_a_missing_spec_says_that_the_stack_is_gone(tmp_path: Path) -> None:
    with pytest.raises(BootError, match="the stack is gone"):
        read_spec(tmp_path / "none.json")


def test_the_users_own_variables_reach_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    told = base_environment("run", "a[0]", "process")
    assert not told.keys() & {"AWS_SECRET_ACCESS_KEY", "HTTP_PROXY", "PYTHONDONTWRITEBYTECODE"}
    assert (told["CRASHCART_RUN_ID"], told["CRASHCART_INSTANCE"], told["CRASHCART_KIND"]) == ("run", "a[0]", "process")


def test_a_topology_reads_back_as_it_was_written(tmp_path: Path) -> None:
    instance = Instance("a[0]", "a", "process", "127.0.0.1:1", ProcessRef(1, 2, "b"), "l", "d", "s")
    topology = Topology("r", str(tmp_path), "/p", (instance,), (), "http://127.0.0.1:2", "http://127.0.0.1:3")
    save_topology(topology)
    assert load_topology(tmp_path) == topology


def test_a_damaged_topology_is_no_topology(tmp_path: Path) -> None:
    (tmp_path / "topology.json").write_text('{"run_id": "r"')
    with pytest.raises(msgspec.DecodeError):
        load_topology(tmp_path)


def test_a_cancelled_starter_starts_nothing(tmp_path: Path) -> None:
    starter, witness = Starter(), tmp_path / "witness"
    starter.cancel()
    with pytest.raises(Cancelled):
        starter.spawn(SpawnSpec("a", ("touch", str(witness)), {}, "/", str(tmp_path / "log")))
    assert not witness.exists()


def test_what_comes_first_does_so_with_its_whole_session_or_not_at_all(tmp_path: Path) -> None:
    child = Starter().spawn(SpawnSpec("load", ("sleep", "30"), dict(os.environ), "/", str(tmp_path / "log")))
    try:
        went = come_first(child.pid)
        nice = os.getpriority(os.PRIO_PROCESS, child.pid)
        group = Path(f"/proc/{child.pid}/autogroup")
        assert nice == (NICE if went else 0)
        assert not went or not group.exists() or group.read_text().endswith(f"nice {NICE}\n")
    finally:
        child.kill()
        child.wait()
    assert not come_first(child.pid), "it is gone"


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    spec = SpawnSpec("a[0]", ("/no/such/program",), {}, "/", str(tmp_path / "log"))
    with pytest.raises(BootError, match="/no/such/program can not be run"):
        Starter().spawn(spec)


def test_a_failed_command_shows_its_last_lines(tmp_path: Path) -> None:
    code = "import sys; print('one'); print('two'); sys.exit(3)"
    spec = SpawnSpec("a[0]", (sys.executable, "-c", code), dict(os.environ), "/", str(tmp_path / "log"))
    with pytest.raises(BootError, match=r"seeding failed \(exit status 3\)") as caught:
        Starter().run(spec, what="seeding")
    assert caught.value.last_lines == ("one", "two")


def test_the_last_lines_of_a_log_are_few_and_not_empty(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"line %d\n\n" % number for number in range(10_000)) + b"\xff broken")
    assert last_lines(log, 3) == ("line 9998", "line 9999", "� broken")
    assert last_lines(tmp_path / "none") == ()


def test_only_a_folder_of_ours_is_removed(tmp_path: Path) -> None:
    foreign = tmp_path / "precious"
    foreign.mkdir()
    link = tmp_path / "crashcart-link"
    link.symlink_to(foreign)
    state_dir.remove_state(foreign)
    state_dir.remove_state(link)
    assert foreign.is_dir()


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_folder_that_the_database_account_can_not_enter_is_passed_over(
    tmp_path: Path, open_to_all: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(state_dir, "_candidates", lambda: (tmp_path, open_to_all))
    made = state_dir.make_state_dir("r1", "nobody", 65534)
    assert made == open_to_all / "crashcart-r1"
    assert stat.S_IMODE(made.stat().st_mode) == 0o711


def test_for_servers_of_our_own_a_private_folder_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(state_dir, "_candidates", lambda: (tmp_path,))
    assert state_dir.make_state_dir("r1", "me", None) == tmp_path / "crashcart-r1"


def test_without_a_place_for_data_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crashcart-r1").mkdir()
    monkeypatch.setattr(state_dir, "_candidates", lambda: (tmp_path,))
    with pytest.raises(BootError, match="set TMPDIR"):
        state_dir.make_state_dir("r1", "me", None)


def test_the_users_temporary_folder_comes_before_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert state_dir.make_state_dir("r1", "me", None) == tmp_path / "crashcart-r1"


def test_valkey_is_given_its_settings_and_can_not_be_moved() -> None:
    settings: dict[str, object] = {"maxmemory": "64mb", "appendonly": True, "bind": "0.0.0.0", "port": 1}
    argv = valkey_argv(Path("/v"), "127.0.0.1:7000", Path("/d"), settings)
    given = dict(zip(argv[1::2], argv[2::2], strict=True))
    assert (
        given.items() >= {"--maxmemory": "64mb", "--appendonly": "yes", "--bind": "127.0.0.1", "--port": "7000"}.items()
    )


def test_prometheus_listens_on_loopback_alone(tmp_path: Path) -> None:
    argv = prometheus_argv(Path("/p"), "127.0.0.1:9000", tmp_path, "{}")
    assert "--web.listen-address=127.0.0.1:9000" in argv
    assert (tmp_path / "prometheus.yml").read_text() == "{}"


def test_the_local_runtime_can_do_what_needs_no_host_of_its_own() -> None:
    runtime = LocalRuntime()
    can = ("noop", "toxiproxy/latency", "service/kill", "database/lock", "http/admin")
    assert [runtime.lacks(kind) for kind in can] == [""] * len(can)
    assert all("of their own" in runtime.lacks(kind) for kind in ("network/partition", "host/down", "container/pause"))


def test_a_boot_is_drawn_with_a_line_for_each_piece_of_work() -> None:
    lines = drawing((Mark("a", 0.0, 1.0), Mark("bcd", 1.0, 2.0)))
    assert [line.split()[0] for line in lines] == ["a", "bcd"]
    assert lines[1].index("━") > lines[0].rindex("━")


def test_what_the_watchdog_imports_of_us_is_light() -> None:
    heavy = "import sys, crashcart.runtimes.ending, crashcart.runtimes.spec, crashcart.toxiproxy; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout.split()
    assert not {"requests", "asyncio", "platformdirs", "psutil", "urllib.request", "concurrent.futures"} & set(loaded)
