"""What we rely on in the images of servers, as it is true of the official ones: a stand-in has to be the same there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from crashcart.images import ensure_parts

if TYPE_CHECKING:
    import docker

    from crashcart.model.images import Images

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

UNKNOWN_UID = 12345


@pytest.fixture(autouse=True)
def _there(engine: docker.DockerClient, images: Images) -> None:
    ensure_parts(engine, images, ("postgres", "valkey", "toxiproxy", "prometheus"), print)


def _run(engine: docker.DockerClient, image: str, *command: str, user: str | None = None) -> str:
    said = engine.containers.run(image, list(command), remove=True, network_mode="none", stderr=True, user=user)
    return str(said.decode())


@pytest.mark.parametrize("program", ["postgres", "initdb", "psql", "pg_ctl"])
def test_a_program_of_postgres_is_on_its_path(engine: docker.DockerClient, images: Images, program: str) -> None:
    said = _run(engine, images.parts["postgres"], program, "--version", user=str(UNKNOWN_UID))
    assert said.startswith(program)
    assert " 18" in said


def test_postgres_makes_its_folder_and_answers_whoever_runs_it(engine: docker.DockerClient, images: Images) -> None:
    container = engine.containers.run(
        images.parts["postgres"],
        ["postgres", "-c", "fsync=off"],
        detach=True,
        user=str(UNKNOWN_UID),
        tmpfs={"/data": f"uid={UNKNOWN_UID}"},
        environment={"PGDATA": "/data/made", "POSTGRES_PASSWORD": "secret", "POSTGRES_USER": "shop"},
    )
    try:
        asked = ["psql", "--host", "127.0.0.1", "--username", "shop", "--no-psqlrc", "-tAc", "show listen_addresses"]
        deadline = time.monotonic() + 60
        while True:
            said = container.exec_run(asked, environment={"PGPASSWORD": "secret"})
            if said.exit_code == 0 or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        assert (said.exit_code, said.output) == (0, b"*\n"), container.logs().decode()
    finally:
        container.remove(force=True, v=True)


def test_valkeys_server_is_on_its_path(engine: docker.DockerClient, images: Images) -> None:
    assert "Valkey server v=" in _run(engine, images.parts["valkey"], "valkey-server", "--version")


def test_toxiproxys_entry_point_is_the_server(engine: docker.DockerClient, images: Images) -> None:
    assert engine.images.get(images.parts["toxiproxy"]).attrs["Config"]["Entrypoint"] == ["/toxiproxy"]
    assert "version 2.12.0" in _run(engine, images.parts["toxiproxy"], "--version")


def test_prometheus_entry_point_is_the_server(engine: docker.DockerClient, images: Images) -> None:
    assert engine.images.get(images.parts["prometheus"]).attrs["Config"]["Entrypoint"] == ["/bin/prometheus"]
    assert _run(engine, images.parts["prometheus"], "--version").startswith("prometheus, version 2.")
