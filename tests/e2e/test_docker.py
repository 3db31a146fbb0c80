"""`--runtime docker` as its users call it: what it says where it can't, and a stack that stands in containers."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crashcart.images import connect
from crashcart.model.errors import ExitStatus
from crashcart.model.verdict import Outcome
from crashcart.runtimes.container_leftovers import left_of
from crashcart.safety.faultlog import open_steps, read_log
from tests.contract.docker.little_containers import leaving_no_volume, stays
from tests.contract.runtime.little_stack import PROJECT, get, until
from tests.e2e.conftest import ROOT, TINY, Harness, nothing_is_left_of
from tests.e2e.overhearing import tokens
from tests.e2e.test_secrets import holding

if TYPE_CHECKING:
    import docker

pytestmark = pytest.mark.timeout(300)

CLEARED_WITHIN_S = 5.0
"""From the death of the harness until its watchdog has done."""
NOWHERE = "unix:///nonexistent.sock"
DOCKERFILE = """\
ARG PYTHON_IMAGE=python:3.13-slim-bookworm
FROM ${PYTHON_IMAGE}
COPY stack /srv/tiny/stack
WORKDIR /srv/tiny
"""


@pytest.fixture
def contained(tiny: Harness, tmp_path: Path) -> Harness:
    """The tiny project with its one design, services that need nothing but Python, and an image of them."""
    project = tmp_path / "tiny"
    shutil.copytree(TINY, project, ignore=shutil.ignore_patterns("__pycache__", "images"))
    for other in ("tiny-disk.yaml", "tiny-once.yaml"):
        (project / "stack/designs" / other).unlink()
    for program in ("door.py", "shelf.py"):
        shutil.copyfile(PROJECT / "little.py", project / "stack" / program)
    folder = project / "stack/images"
    folder.mkdir()
    usual = (ROOT / "stack/images/images.yaml").read_text(encoding="utf-8")
    assert "name: crashcart/shop," in usual
    (folder / "images.yaml").write_text(usual.replace("name: crashcart/shop,", "name: crashcart-test/tiny,"))
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return Harness(project, tiny.runs, tiny.environment)


def _with(harness: Harness, **environment: str) -> Harness:
    return replace(harness, environment={**harness.environment, **environment})


def _nothing_was_started(harness: Harness) -> bool:
    return not harness.active_runs() and not harness.recordings()


@pytest.mark.parametrize("command", ["run shelf-gone --yes", "stack up"])
def test_without_an_engine_it_is_one_clear_error_and_nothing_is_started(contained: Harness, command: str) -> None:
    done = _with(contained, DOCKER_HOST=NOWHERE).call(*command.split(), "--runtime", "docker")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "/nonexistent.sock" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3, done.stderr
    assert _nothing_was_started(contained)


def test_a_plan_is_made_where_there_is_no_engine(contained: Harness) -> None:
    done = _with(contained, DOCKER_HOST=NOWHERE).call("plan", "shelf-gone", "--runtime", "docker")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "on the docker runtime" in " ".join(done.stdout.split())


def test_the_environment_may_name_the_runtime_and_a_wrong_name_is_refused(contained: Harness) -> None:
    named = _with(contained, CRASHCART_RUNTIME="docker", DOCKER_HOST=NOWHERE).call("plan", "shelf-gone")
    assert "on the docker runtime" in " ".join(named.stdout.split())
    wrong = _with(contained, CRASHCART_RUNTIME="dokcer").call("plan", "shelf-gone")
    assert wrong.returncode == 2
    assert "there is no runtime 'dokcer'" in wrong.stderr
    assert "docker" in wrong.stderr


@pytest.mark.docker
def test_an_image_that_is_missing_and_can_not_be_pulled_is_named_with_the_remedy(contained: Harness) -> None:
    missing = _with(contained, CRASHCART_IMAGE_TOXIPROXY="127.0.0.1:9/crashcart-test/none:1")
    done = missing.call("run", "shelf-gone", "--runtime", "docker", "--yes")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "127.0.0.1:9/crashcart-test/none:1" in done.stderr
    assert "CRASHCART_IMAGE_TOXIPROXY=" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert _nothing_was_started(contained)


@pytest.fixture
def standing(contained: Harness) -> Iterator[Harness]:
    done = contained.call("stack", "up", "--runtime", "docker")
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield contained
    finally:
        contained.call("stack", "down")


@pytest.mark.docker
def test_a_stack_stands_in_containers_is_looked_at_followed_and_taken_down(standing: Harness) -> None:
    (entry,) = Path(standing.environment["XDG_STATE_HOME"]).glob("crashcart/stacks/*.json")
    run_id = entry.read_text().split('"run_id": "')[1].split('"')[0]
    assert len(left_of(run_id)) > 4
    status = standing.call("stack", "status")
    assert status.returncode == 0, status.stdout + status.stderr
    assert status.stdout.count("ready") == 4
    address = next(line.split()[2] for line in status.stdout.splitlines() if line.startswith("door[0]"))
    assert get(address) == "ok"
    everything = standing.call("stack", "logs")
    assert everything.returncode == 0, everything.stderr
    assert {"door[0]: listening", "shelf[0]: listening"} <= set(everything.stdout.splitlines())
    assert standing.call("stack", "logs", "door").stdout == "listening\n"
    following = standing.start("stack", "logs", "door[0]", "--follow")
    try:
        assert following.stdout is not None
        assert following.stdout.readline() == "listening\n"
        down = standing.call("stack", "down")
        assert down.returncode == 0, down.stdout + down.stderr
        said, _ = following.communicate(timeout=60)
        assert (following.returncode, said) == (0, "")
    finally:
        following.send_signal(signal.SIGKILL)
        following.wait()
    assert left_of(run_id) == ()
    assert not entry.exists()
    again = standing.call("stack", "status")
    assert again.returncode == 2


@pytest.mark.docker
def test_a_container_that_dies_while_its_stack_stands_is_shown_as_such(standing: Harness) -> None:
    status = standing.call("stack", "status")
    pid = next(line.split()[3] for line in status.stdout.splitlines() if line.startswith("shelf[0]"))
    os.kill(int(pid), signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists())
    after = standing.call("stack", "status")
    assert after.returncode == 1
    (row,) = (line for line in after.stdout.splitlines() if line.startswith("shelf[0]"))
    assert "it does not run" in row


class Relay:
    """A socket of its own before the engine's: closed, the engine is gone for those who came that way."""

    def __init__(self, own: Path, engine: str) -> None:
        self._engine = engine.removeprefix("unix://")
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(own))
        self._listener.listen(64)
        self.address = f"unix://{own}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """From now on nobody is answered, and who was is cut off."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.socket(socket.AF_UNIX)
                there.connect(self._engine)
                with self._lock:
                    self._open += [here, there]
                for source, target in ((here, there), (there, here)):
                    threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.mark.docker
def test_where_the_engine_goes_in_the_middle_of_a_run_that_is_said_and_recover_removes_what_is_left(
    tiny: Harness, tmp_path: Path
) -> None:
    engine = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    relay = Relay(tmp_path / "engine", engine)
    through = _with(tiny, DOCKER_HOST=relay.address)
    options = ("--yes", "--runtime", "docker", "--out", str(tiny.runs))
    process = through.start("run", "shelf-gone", *options)
    recording = through.wait_for_event(process, "fault-injected", within_s=120)
    relay.close()
    output, _ = process.communicate(timeout=120)
    run_id = recording.manifest.run_id
    assert process.returncode == ExitStatus.NOT_UNDONE, output
    assert "the Docker engine does not answer" in " ".join(output.split())
    assert "crashcart recover" in output
    assert "Traceback" not in output
    assert nothing_is_left_of(run_id, 0.1), "its processes are this machine's, and need no engine to be ended"
    assert open_steps(read_log(recording.path / "faultlog.jsonl")) == ()
    assert left_of(run_id), "the engine still keeps its containers"
    token = tokens()[run_id]
    assert len(token) >= 32
    assert list(holding([token], [tiny.runs, Path(tiny.environment["XDG_STATE_HOME"])])) == []
    assert token not in output
    recovered = tiny.call("recover")
    assert recovered.returncode == 0, recovered.stdout + recovered.stderr
    assert left_of(run_id) == ()


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    client = connect()
    yield client
    client.close()


@pytest.mark.docker
@pytest.mark.parametrize("event", ["boot-started", "fault-injected"])
def test_after_a_kill_of_the_harness_the_engine_soon_keeps_nothing_of_the_run(
    engine: docker.DockerClient, tiny: Harness, event: str
) -> None:
    with leaving_no_volume(engine):
        process = tiny.start("run", "shelf-gone", "--yes", "--runtime", "docker", "--out", str(tiny.runs))
        try:
            run_id = tiny.wait_for_event(process, event, within_s=120).path.name
            until(lambda: left_of(run_id), within_s=30.0)  # a boot has begun when something is made
        finally:
            process.kill()
            process.communicate()
        killed = time.monotonic()
        until(lambda: not tiny.active_runs(), within_s=30.0)
        took_s = time.monotonic() - killed
        # what the engine was making when nobody waited for it any more would show itself after a while
        assert stays(lambda: left_of(run_id) == (), for_s=2.0)
    assert nothing_is_left_of(run_id, 0.1)
    assert took_s < CLEARED_WITHIN_S


@pytest.mark.docker
def test_a_container_that_somebody_removes_in_the_middle_of_a_run_is_not_held_against_the_shop(
    engine: docker.DockerClient, tiny: Harness
) -> None:
    with leaving_no_volume(engine):
        process = tiny.start("run", "shelf-gone", "--yes", "--runtime", "docker", "--out", str(tiny.runs))
        recording = tiny.wait_for_event(process, "fault-injected", within_s=120)
        run_id = recording.path.name
        engine.containers.get(f"crashcart-{run_id}-shelf-0").remove(force=True)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == ExitStatus.INCONCLUSIVE, output
        assert left_of(run_id) == ()
    (died,) = recording.events("died")
    assert (died.data["part"], died.data["removed"]) == ("shelf[0]", True)
    verdict = recording.verdict
    assert verdict.outcome is Outcome.INCONCLUSIVE
    told = "the container of shelf[0] was removed from the engine by somebody else"
    (check,) = (check for check in verdict.validity if check.name == "shop-parts")
    assert check.detail.startswith(told)
    assert told in verdict.headline
    assert told in " ".join(output.split())
    assert "died" not in " ".join((verdict.headline, *verdict.look_at))
