"""`recover`, and the watchdog, on containers: what nobody lives for any more is removed, what lives is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from crashcart.model.topology import ProcessRef
from crashcart.processes import boot_id, own_ref
from crashcart.runtimes.container_leftovers import left_of, remove_run
from crashcart.runtimes.containers import BOOT_LABEL, RUN_LABEL
from crashcart.runtimes.docker import DockerRuntime
from crashcart.runtimes.readiness import ask
from crashcart.safety.active import ActiveRun, read_active, register
from crashcart.safety.recover import recover
from tests.contract.docker.conftest import ROOT
from tests.contract.docker.little_containers import no_container_is_left
from tests.contract.runtime.little_stack import boot, booted, lone_design, new_run, until

if TYPE_CHECKING:
    import docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

CLEARED_WITHIN_S = 30.0


@pytest.fixture(autouse=True)
def _own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def made(client: docker.DockerClient, images: Mapping[str, str]) -> Iterator[list[str]]:
    """Runs of which the test itself has made a container, a network and a volume: removed when it is over."""
    runs: list[str] = []
    yield runs
    for run_id in runs:
        remove_run(run_id)


def _make(client: docker.DockerClient, image: str, run_id: str, of_boot: str) -> None:
    labels = {RUN_LABEL: run_id, BOOT_LABEL: of_boot}
    client.containers.create(image, ["python", "-V"], name=f"crashcart-{run_id}-door-0", labels=labels)
    client.networks.create(f"crashcart-{run_id}-edge", internal=True, labels=labels)
    client.volumes.create(f"crashcart-{run_id}-orphan", labels=labels)


def test_what_an_earlier_boot_of_the_machine_left_is_removed_and_only_once(
    client: docker.DockerClient, images: Mapping[str, str], made: list[str]
) -> None:
    made += [new_run(), new_run()]
    old, new = made
    _make(client, images["process"], old, str(uuid.uuid4()))
    _make(client, images["process"], new, boot_id())
    said: list[str] = []
    report = recover(said.append)
    assert left_of(old) == ()
    assert set(left_of(new)) == {f"crashcart-{new}-{what}" for what in ("door-0", "edge", "orphan")}
    assert f"{old}: its containers of an earlier boot were removed" in report.done
    assert not any(new in line for line in said)
    assert int(report.exit_status) == 0
    assert not any(old in line for line in recover(said.append).done)


def test_a_volume_whose_container_is_gone_is_found_by_itself(
    client: docker.DockerClient, images: Mapping[str, str], made: list[str]
) -> None:
    made.append(new_run())
    client.volumes.create(labels={RUN_LABEL: made[0], BOOT_LABEL: str(uuid.uuid4())})
    assert f"{made[0]}: its containers of an earlier boot were removed" in recover(print).done
    assert left_of(made[0]) == ()


def test_a_stack_that_lives_is_left_alone(runtime: DockerRuntime, tmp_path: Path) -> None:
    with booted(runtime, lone_design(), tmp_path / "logs") as stack:
        register(_active(stack.topology.run_id, own_ref(), tmp_path, stack.topology.state_dir))
        report = recover(print)
        assert any("its harness is alive" in line for line in report.left_alone)
        assert all(ask(i.kind, i.address) == "" for i in stack.topology.instances)


def _active(run_id: str, harness: ProcessRef, folder: Path, state_dir: str) -> ActiveRun:
    log = folder / "faultlog.jsonl"
    log.touch()
    return ActiveRun(
        run_id=run_id,
        boot_id=harness.boot_id,
        harness=harness,
        faultlog=str(log),
        recording=str(folder),
        state_dir=state_dir,
        runtime="docker",
    )


def _dead() -> ProcessRef:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return msgspec.structs.replace(own_ref(), pid=process.pid, started_ticks=1)


@pytest.mark.parametrize("known", ["its folder", "its run alone"])
def test_what_a_dead_harness_left_is_ended_and_removed(
    client: docker.DockerClient, runtime: DockerRuntime, tmp_path: Path, known: str
) -> None:
    stack = boot(runtime, lone_design(), tmp_path / "logs")
    stack.let_go()
    run_id, folder = stack.topology.run_id, stack.topology.state_dir
    run = _active(run_id, _dead(), tmp_path, folder if known == "its folder" else "")
    register(run if known == "its folder" else msgspec.structs.replace(run, runtime=""))
    report = recover(print)
    assert report.not_undone == ()
    assert f"{run_id}: nothing of it runs" in report.done
    assert no_container_is_left(client, run_id)
    assert read_active(run_id) is None
    assert (tmp_path / "logs/door[0].log").read_text() == "listening\n"


HARNESS = """if True:
    import sys, threading, time
    from pathlib import Path
    import msgspec
    from crashcart.runtimes.docker import DockerRuntime
    from crashcart.safety.watchdog import Watchdog
    from tests.contract.runtime.little_stack import PROJECT, lone_design

    run_id, folder, images = sys.argv[1], Path(sys.argv[2]), msgspec.json.decode(sys.argv[3])
    watchdog = Watchdog.start(run_id, folder / "recording")

    def beat():
        while True:
            watchdog.beat()
            time.sleep(0.1)

    threading.Thread(target=beat, daemon=True).start()
    print("watched", flush=True)
    runtime = DockerRuntime(images, cache=folder / "cache")
    stack = runtime.start(lone_design(), run_id=run_id, project_dir=PROJECT, log_dir=folder / "recording" / "logs",
                          extra_scrapes={}, progress=print)
    watchdog.watch(stack.topology)
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("when", ["while it boots", "once it is up"])
def test_when_the_harness_is_killed_its_watchdog_leaves_nothing(
    client: docker.DockerClient, images: Mapping[str, str], tmp_path: Path, when: str
) -> None:
    run_id = new_run()
    argv = [sys.executable, "-c", HARNESS, run_id, str(tmp_path), msgspec.json.encode(dict(images)).decode()]
    harness = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ})
    try:
        assert harness.stdout is not None
        assert harness.stdout.readline() == "watched\n"
        if when == "once it is up":
            assert harness.stdout.readline() == "up\n"
        else:
            until(lambda: len(left_of(run_id)) > 2, within_s=60.0)  # networks, and the first container
        harness.send_signal(signal.SIGKILL)
        harness.wait()
        until(lambda: read_active(run_id) is None, within_s=CLEARED_WITHIN_S)
        assert no_container_is_left(client, run_id)
    finally:
        harness.kill()
        harness.wait()
        if harness.stdout is not None:
            harness.stdout.close()
        remove_run(run_id)
