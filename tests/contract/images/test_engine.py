"""Whether an engine answers here, may be used, is new enough, and is this machine's: each told by itself."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crashcart.images import connect
from crashcart.images.engine import MINIMUM_API
from crashcart.model.errors import ExitStatus, UsageError
from tests.contract.images.fake_engine import fake_engine


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short name: a socket's path holds a hundred characters."""
    with tempfile.TemporaryDirectory(prefix="cc-") as folder:
        yield Path(folder)


def _refused(monkeypatch: pytest.MonkeyPatch, address: str) -> str:
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(UsageError) as refused:
        connect()
    assert refused.value.exit_status is ExitStatus.USAGE
    assert refused.value.remedy
    return str(refused.value)


def test_no_engine_is_told_with_how_to_have_one(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    said = _refused(monkeypatch, f"unix://{place}/none.sock")
    assert "no Docker engine answers: No such file or directory" in said
    assert "apt-get install docker.io" in said


def test_a_socket_that_an_engine_left_behind_is_no_engine(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place / "left.sock"))
    assert "no Docker engine answers: Connection refused" in _refused(monkeypatch, f"unix://{place}/left.sock")


def test_a_user_who_may_not_use_the_engine_is_told_so(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    with fake_engine(place / "engine.sock", {}) as address, _as_nobody_special(place / "engine.sock"):
        said = _refused(monkeypatch, address)
    assert "this user may not use the Docker engine" in said
    assert "usermod -aG docker" in said


def test_an_engine_that_is_too_old_is_told_with_its_version(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    old = {"/version": {"Version": "19.03.15", "ApiVersion": "1.40", "MinAPIVersion": "1.12"}}
    with fake_engine(place / "old.sock", old) as address:
        said = _refused(monkeypatch, address)
    assert f"the Docker engine is 19.03.15 (API 1.40); API {MINIMUM_API} is needed" in said


@pytest.mark.parametrize("answer", ["<html>a web server</html>", None, [1, 2], {"ApiVersion": "newest"}])
def test_what_is_no_engine_is_told_as_such(monkeypatch: pytest.MonkeyPatch, place: Path, answer: object) -> None:
    with fake_engine(place / "other.sock", {} if answer is None else {"/version": answer}) as address:
        assert "no Docker engine" in _refused(monkeypatch, address)


@pytest.mark.parametrize("scheme", ["tcp", "ssh", "http", "npipe"])
def test_an_engine_on_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    said = _refused(monkeypatch, f"{scheme}://engine.example:2376")
    assert f"reached over {scheme}: it may be on another machine" in said


@pytest.mark.parametrize("address", ["/var/run/docker.sock", "unix://docker.sock", "unix://"])
def test_what_is_no_address_is_refused_with_one_that_is(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    assert "such as DOCKER_HOST=unix:///var/run/docker.sock" in _refused(monkeypatch, address)


@pytest.mark.docker
def test_the_engine_of_this_machine_answers() -> None:
    client = connect()
    assert client.ping()
    client.close()


@contextmanager
def _as_nobody_special(door: Path) -> Iterator[None]:
    """As a user to whom that socket is closed; root is none for whom one could be."""
    door.chmod(0)
    door.parent.chmod(stat.S_IRWXU | stat.S_IXOTH)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(was)
