"""The real programs, as a run starts them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from crashcart.tools import Toolbox, doctor, find_tools, server_account, setup
from crashcart.tools import postgres as postgres_tool
from crashcart.tools.programs import numbers, version_of


@contextmanager
def running(command: Sequence[str | Path], folder: Path) -> Iterator[None]:
    """The program runs, its output in a file; afterwards it is gone."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        process.kill()
        process.wait(timeout=10)


def answer(address: str, *, within_s: float = 20.0) -> str:
    """The body, as soon as the address answers 200."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            with urllib.request.urlopen(address, timeout=2) as response:
                body: bytes = response.read()
                return body.decode()
        except (OSError, urllib.error.HTTPError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def test_every_program_is_there_new_enough_and_says_its_version_itself(toolbox: Toolbox) -> None:
    for tool, minimum in (
        (toolbox.postgres, "15"),
        (toolbox.valkey, "7.2"),
        (toolbox.toxiproxy, "2.12"),
        (toolbox.prometheus, "2.42"),
    ):
        executable = tool.path / "postgres" if tool.name == "postgres" else tool.path
        assert executable.is_absolute()
        assert version_of(executable) == tool.version
        assert numbers(tool.version) >= numbers(minimum)


def test_a_run_finds_what_setup_made_and_setup_makes_nothing_twice(toolbox: Toolbox) -> None:
    said: list[str] = []
    assert find_tools() == toolbox
    assert setup(said.append) == toolbox
    assert said == []


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other accounts may enter; each session of pytest closes pytest's own to them."""
    folder = Path(tempfile.mkdtemp(prefix="crashcart-cluster-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_the_server_account_can_make_a_database_cluster(toolbox: Toolbox, open_folder: Path) -> None:
    postgres_tool.run_as_account(toolbox.postgres)
    account = server_account()
    if account.uid is not None:
        os.chown(open_folder, account.uid, account.gid or -1)
    subprocess.run(
        [toolbox.postgres.path / "initdb", "--auth=trust", "--no-sync", "--username=postgres", open_folder / "data"],
        user=account.uid,
        group=account.gid,
        cwd="/",
        capture_output=True,
        timeout=60,
        check=True,
    )
    major = toolbox.postgres.version.split(".")[0]
    assert (open_folder / "data" / "PG_VERSION").read_text().strip() == major


def test_toxiproxy_answers_with_its_version(toolbox: Toolbox, tmp_path: Path, free_port: int) -> None:
    with running([toolbox.toxiproxy.path, "-host", "127.0.0.1", "-port", str(free_port)], tmp_path):
        assert toolbox.toxiproxy.version in answer(f"http://127.0.0.1:{free_port}/version")


def test_prometheus_becomes_ready(toolbox: Toolbox, tmp_path: Path, free_port: int) -> None:
    (tmp_path / "prometheus.yml").write_text("scrape_configs: []\n")
    command: list[str | Path] = [
        toolbox.prometheus.path,
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{free_port}",
    ]
    with running(command, tmp_path):
        assert "Ready" in answer(f"http://127.0.0.1:{free_port}/-/ready")


def test_valkey_keeps_what_it_is_given(toolbox: Toolbox, tmp_path: Path) -> None:
    door = tmp_path / "socket"
    with running([toolbox.valkey.path, "--port", "0", "--unixsocket", str(door), "--save", ""], tmp_path):
        deadline = time.monotonic() + 20
        while not door.exists():
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.02)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(door))
            connection.sendall(b"SET cart full\r\nGET cart\r\nQUIT\r\n")
            assert connection.makefile("rb").read() == b"+OK\r\n$4\r\nfull\r\n+OK\r\n"


def test_the_doctor_finds_every_program_and_the_account(toolbox: Toolbox) -> None:
    findings = {finding.name: finding for finding in doctor()}
    for name in ("python", "postgres", "valkey", "toxiproxy", "prometheus", "server account", "kernel", "loopback"):
        assert findings[name].ok, findings[name]
