"""How a stack comes up, or does not, and that nothing is left of it."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crashcart.model.design import Init, Service
from crashcart.model.errors import BadFile, BootError, UsageError
from crashcart.runtimes.ending import end_stack, stop_topology
from crashcart.runtimes.local import LocalRuntime
from crashcart.runtimes.postgres_files import forget_shared_memory
from crashcart.runtimes.starting import Cancelled
from crashcart.runtimes.state_dir import STATE_PREFIX
from crashcart.tools import Toolbox
from tests.contract.freezing import freeze
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
    nothing_is_left,
    told,
    until,
)


def _segments() -> set[str]:
    return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


def _folders(run_id: str) -> list[Path]:
    return [
        path for parent in ("/dev/shm", "/tmp", "/var/tmp") for path in Path(parent).glob(f"{STATE_PREFIX}{run_id}*")
    ]


def test_stopping_leaves_no_process_no_folder_and_no_memory(runtime: LocalRuntime, tmp_path: Path) -> None:
    stack = boot(runtime, little_design(), tmp_path)
    run_id, state_dir = stack.topology.run_id, stack.topology.state_dir
    segment = stack.file("notes-db[0]", "postmaster.pid").read_text().splitlines()[6].split()[1]
    stack.kill("notes-db[0]")  # never to come back
    assert segment in _segments()
    stack.stop()
    stack.stop()
    assert nothing_is_left(run_id, state_dir)
    assert segment not in _segments()
    assert (tmp_path / "door[0].log").read_text() == "listening\n"


def test_what_ignores_the_end_is_ended_all_the_same(runtime: LocalRuntime, tmp_path: Path) -> None:
    with booted(runtime, lone_design(), tmp_path) as stack:
        deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up')\nwhile True: signal.pause()"
        part = stack.spawn_part("deaf", ("{python}", "-c", deaf), {})
        until(lambda: "up" in Path(part.log).read_text())
        for instance in stack.topology.instances:
            assert instance.process is not None
            if instance.name == "toxiproxy":
                freeze(instance.process.pid)
    assert nothing_is_left(stack.topology.run_id, stack.topology.state_dir)


def test_a_service_that_dies_at_boot_is_named_with_its_last_words_and_nothing_is_left(
    runtime: LocalRuntime, tmp_path: Path
) -> None:
    run_id, began = new_run(), time.monotonic()
    with pytest.raises(BootError) as caught:
        boot(runtime, lone_design({"DIES": "1"}), tmp_path, run_id=run_id)
    assert time.monotonic() - began < 30.0, "it did not wait until its patience was over"
    assert caught.value.instance == "door[0]"
    assert "died while it started (exit status 3)" in str(caught.value)
    assert caught.value.last_lines == ("cannot go on: the cellar is flooded",)
    assert nothing_is_left(run_id, f"/dev/shm/{STATE_PREFIX}{run_id}")
    assert _folders(run_id) == []


def test_a_service_that_lost_its_environment_is_ended_with_a_boot_that_fails(
    runtime: LocalRuntime, tmp_path: Path
) -> None:
    path, run_id = tmp_path / "pid", new_run()
    nobody = f"import os, pathlib, time; pathlib.Path({str(path)!r}).write_text(str(os.getpid())); time.sleep(60)"
    waits = f"import os, time\nwhile not os.path.exists({str(path)!r}): time.sleep(0.01)\nraise SystemExit(1)"
    services = {
        "a": Service(command=("env", "-i", f"PATH={os.environ['PATH']}", "{python}", "-c", nobody)),
        "b": Service(command=("{python}", "-c", waits), entry=True),
    }
    with pytest.raises(BootError, match=r"b\[0\]: died while it started \(exit status 1\)"):
        boot(runtime, design(services), tmp_path, run_id=run_id)
    assert not Path("/proc", path.read_text()).exists()
    assert _folders(run_id) == []


def test_a_service_that_never_gets_ready_is_named_with_what_it_said(
    toolbox: Toolbox, cache: Path, tmp_path: Path
) -> None:
    impatient, run_id = LocalRuntime(toolbox, cache=cache, ready_within_s=2.0), new_run()
    with pytest.raises(
        BootError, match=r"door\[0\]: was not ready within 2 s: /readyz says 503: still looking for the key"
    ):
        boot(impatient, lone_design({"NEVER_READY": "1"}), tmp_path, run_id=run_id)
    assert _folders(run_id) == []


def test_a_command_that_does_not_exist_is_named(runtime: LocalRuntime, tmp_path: Path) -> None:
    with pytest.raises(BootError, match=r"door\[0\]: /no/such/program can not be run"):
        boot(runtime, design({"door": Service(command=("/no/such/program",), entry=True)}), tmp_path)


def test_a_server_setting_that_can_not_be_is_named_in_the_servers_words(runtime: LocalRuntime, tmp_path: Path) -> None:
    wrong = Service(kind="postgres", init=DATABASE.init, settings={"max_conections": 20})
    with pytest.raises(BootError, match='unrecognized configuration parameter "max_conections"'):
        boot(runtime, little_design(**{"notes-db": wrong}), tmp_path)


def test_an_error_in_sql_is_at_its_file_and_line(runtime: LocalRuntime, tmp_path: Path) -> None:
    project, run_id = copied_project(tmp_path / "project"), new_run()
    (project / "schema.sql").write_text("CREATE TABLE a (b int);\n\nCREATE TALBE c (d int);\n")
    with pytest.raises(BadFile, match=r"schema.sql:3: syntax error at or near \"TALBE\""):
        boot(runtime, little_design(), tmp_path / "logs", project_dir=project, run_id=run_id)
    assert _folders(run_id) == []


def test_a_missing_sql_file_is_named_before_anything_is_started(runtime: LocalRuntime, tmp_path: Path) -> None:
    missing = Service(kind="postgres", init=Init(sql=("none.sql",)))
    with pytest.raises(BadFile, match=r"none.sql: can not be read"):
        boot(runtime, little_design(**{"notes-db": missing}), tmp_path / "logs")
    assert not (tmp_path / "logs").exists()


def test_an_init_command_that_fails_is_shown_with_its_output(runtime: LocalRuntime, tmp_path: Path) -> None:
    code = f"print('no prices today {secrets.token_hex(4)}'); raise SystemExit(7)"
    failing = Service(kind="postgres", init=Init(commands=(("{python}", "-c", code),)))
    with pytest.raises(BootError, match=r"(?s)init command .* failed \(exit status 7\).*no prices today"):
        boot(runtime, little_design(**{"notes-db": failing}), tmp_path)


def test_a_port_that_the_design_fixes_and_somebody_has_is_one_error_and_nothing_starts(
    runtime: LocalRuntime, tmp_path: Path
) -> None:
    run_id = new_run()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        fixed = Service(kind="valkey", settings={"port": port})
        with pytest.raises(UsageError, match=rf"store\[0\]: port {port} of 127.0.0.1 is taken"):
            boot(runtime, little_design(store=fixed), tmp_path / "logs", run_id=run_id)
    assert _folders(run_id) == []
    assert not (tmp_path / "logs").exists()


def test_a_port_that_the_design_fixes_is_where_it_listens(
    runtime: LocalRuntime, tmp_path: Path, free_port: int
) -> None:
    with booted(runtime, lone_design({"LISTEN_ADDRESS": f"127.0.0.1:{free_port}"}), tmp_path):
        assert get(f"127.0.0.1:{free_port}") == "ok"


def test_a_template_is_made_once_for_the_same_content(runtime: LocalRuntime, tmp_path: Path) -> None:
    project = copied_project(tmp_path / "project")
    schema = project / "schema.sql"
    schema.write_text(f"{schema.read_text()}-- {secrets.token_hex(8)}\n")
    said: list[list[str]] = []
    for _ in range(2):
        said.append([])
        boot(runtime, little_design(), tmp_path / "logs", project_dir=project, said=said[-1]).stop()
    schema.write_text(f"{schema.read_text()}INSERT INTO notes VALUES (-1, 'new');\n")
    said.append([])
    stack = boot(runtime, little_design(), tmp_path / "logs", project_dir=project, said=said[-1])
    try:
        assert ask_database(stack.database_address("notes-db"), "SELECT said FROM notes WHERE id = -1") == "new"
    finally:
        stack.stop()
    assert [any("making the database's template" in line for line in lines) for lines in said] == [True, False, True]


def test_what_one_stack_writes_the_next_does_not_see(runtime: LocalRuntime, tmp_path: Path) -> None:
    for _ in range(2):
        with booted(runtime, little_design(), tmp_path) as stack:
            address = stack.database_address("notes-db")
            assert ask_database(address, "SELECT count(*) FROM notes") == 101
            ask_database(address, "INSERT INTO notes (id) VALUES (5000)")


def test_a_path_with_spaces_is_like_any_other(
    toolbox: Toolbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "a home [with] spaces, ümlauts and 'quotes'"
    project = copied_project(home / "my project")
    monkeypatch.setenv("TMPDIR", str(home))
    monkeypatch.setattr("tempfile.tempdir", None)
    for folder in (home, tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)  # pytest keeps its folders to itself; Postgres must pass
    runtime = LocalRuntime(toolbox, cache=home / "a cache", ready_within_s=30.0)
    with booted(runtime, little_design(), home / "the logs", project_dir=project) as stack:
        assert stack.topology.state_dir.startswith(str(home))
        assert get(stack.topology.proxy("shoppers[0].door[0]").listen) == "ok"
        assert ask_database(told(stack, "door[0]")["LINK_NOTES_DB"], "SELECT count(*) FROM notes") == 101
        stack.kill("notes-db[0]")
        stack.start_again("notes-db[0]", ready_within_s=30.0)
    assert nothing_is_left(stack.topology.run_id, stack.topology.state_dir)


def test_two_stacks_stand_side_by_side_and_end_each_for_itself(runtime: LocalRuntime, tmp_path: Path) -> None:
    with booted(runtime, little_design(), tmp_path / "one") as one:
        with booted(runtime, little_design(), tmp_path / "other") as other:
            ask_database(other.database_address("notes-db"), "DELETE FROM notes")
            assert ask_database(one.database_address("notes-db"), "SELECT count(*) FROM notes") == 101
            other.kill("helper[0]")
            assert get(one.topology.instance("helper[0]").address) == "ok"
        assert nothing_is_left(other.topology.run_id, other.topology.state_dir)
        assert one.dead() == {}
        assert get(one.topology.proxy("door[0].helper[0]").listen) == "ok"


def test_a_boot_that_is_interrupted_leaves_nothing(runtime: LocalRuntime, tmp_path: Path) -> None:
    run_id = new_run()

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    project = copied_project(tmp_path / "project")
    (project / "schema.sql").write_text(f"CREATE TABLE notes (id bigint, said text); -- {secrets.token_hex(8)}\n")
    with pytest.raises(KeyboardInterrupt):  # in the middle of making a template, which is told of
        runtime.start(
            little_design(),
            run_id=run_id,
            project_dir=project,
            log_dir=tmp_path / "logs",
            extra_scrapes={},
            progress=interrupt,
        )
    assert nothing_is_left(run_id, f"/dev/shm/{STATE_PREFIX}{run_id}")
    assert _folders(run_id) == []


def test_a_boot_that_nobody_wants_any_more_ends_at_once_and_leaves_nothing(
    runtime: LocalRuntime, tmp_path: Path
) -> None:
    run_id, given_up_at = new_run(), list[float]()

    def unwanted() -> bool:
        if (tmp_path / "door[0].log").exists():
            given_up_at.append(time.monotonic())
        return bool(given_up_at)

    with pytest.raises(Cancelled):
        runtime.start(
            lone_design({"NEVER_READY": "1"}),
            run_id=run_id,
            project_dir=PROJECT,
            log_dir=tmp_path,
            extra_scrapes={},
            progress=print,
            unwanted=unwanted,
        )
    assert time.monotonic() - given_up_at[0] < 10.0, "not as long as it waits for what hangs"
    assert nothing_is_left(run_id, f"/dev/shm/{STATE_PREFIX}{run_id}")
    assert _folders(run_id) == []


def test_another_process_can_end_a_stack_from_its_data_alone(runtime: LocalRuntime, tmp_path: Path) -> None:
    stack = boot(runtime, little_design(), tmp_path)
    topology = stack.topology
    stack.let_go()
    assert get(topology.proxy("shoppers[0].door[0]").listen) == "ok"
    code = (
        "import sys; from pathlib import Path; from crashcart.runtimes.topology_file import load_topology;"
        "from crashcart.runtimes.ending import stop_topology; stop_topology(load_topology(Path(sys.argv[1])))"
    )
    subprocess.run([sys.executable, "-c", code, topology.state_dir], cwd=PROJECT.parents[3], check=True)
    assert nothing_is_left(topology.run_id, topology.state_dir)
    stop_topology(topology)


def test_a_boot_cut_short_can_be_ended_knowing_the_run_alone(runtime: LocalRuntime, tmp_path: Path) -> None:
    stack = boot(runtime, lone_design(), tmp_path)
    run_id, state_dir = stack.topology.run_id, Path(stack.topology.state_dir)
    stack.let_go()
    (state_dir / "topology.json").unlink()
    end_stack(run_id, state_dir)
    assert nothing_is_left(run_id, state_dir)


def test_ending_what_never_was_is_fine() -> None:
    end_stack(new_run(), Path("/dev/shm/crashcart-never-was"))
    forget_shared_memory(Path("/nonexistent"))


def test_services_are_told_to_drain_before_the_servers_go(runtime: LocalRuntime, tmp_path: Path) -> None:
    code = (
        "import os, signal, socket, sys, threading\n"
        "from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer\n"
        "host, port = os.environ['LISTEN_ADDRESS'].split(':')\n"
        "class Ok(BaseHTTPRequestHandler):\n"
        "    def do_GET(self): self.send_response(200); self.end_headers()\n"
        "    def log_message(self, *a): pass\n"
        "def drain(*_):\n"
        "    link = os.environ['LINK_STORE'].removeprefix('valkey://').removesuffix('/0').split(':')\n"
        "    with socket.create_connection((link[0], int(link[1])), 1) as s:\n"
        "        s.sendall(b'PING\\r\\n'); print('the store says', s.recv(9), flush=True)\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, drain)\n"
        "ThreadingHTTPServer((host, int(port)), Ok).serve_forever(0.05)\n"
    )
    door = Service(command=("{python}", "-c", code), links=("store",), entry=True)
    with booted(runtime, design({"door": door, "store": Service(kind="valkey")}), tmp_path):
        pass
    assert "+PONG" in (tmp_path / "door[0].log").read_text()


def test_the_boot_says_what_took_how_long(runtime: LocalRuntime, tmp_path: Path) -> None:
    with booted(runtime, lone_design(), tmp_path) as stack:
        assert {"ports and folders", "door[0]: ready", "toxiproxy: proxies"} <= {mark.what for mark in stack.timeline}
        assert all(0 <= mark.began_s <= mark.ended_s <= stack.boot_s for mark in stack.timeline)


def test_a_setting_reaches_the_service_verbatim(runtime: LocalRuntime, tmp_path: Path) -> None:
    odd = {"TEXT": "with spaces, 'quotes', \"double\" and a \\ and $HOME", "EMPTY": ""}
    with booted(runtime, lone_design(odd), tmp_path) as stack:
        assert told(stack, "door[0]").items() >= odd.items()
