"""A runtime of containers on the little project's image, and one stack for tests that leave it as they found it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crashcart.images import connect, ensure_parts
from crashcart.loading import open_project
from crashcart.loading.images import load_images
from crashcart.runtimes.docker import DockerRuntime
from crashcart.runtimes.local_stack import LocalStack
from tests.contract.docker.little_containers import build_little, leaving_no_volume
from tests.contract.runtime.little_stack import booted, little_design

if TYPE_CHECKING:
    import docker

ROOT = Path(__file__).parents[3]
PARTS = ("postgres", "valkey", "toxiproxy", "prometheus")


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    client = connect()
    yield client
    client.close()


@pytest.fixture(scope="session")
def images(client: docker.DockerClient) -> Mapping[str, str]:
    """Kind → image: what this machine's tests use, in the pipeline its stand-ins."""
    named = load_images(open_project(ROOT), os.environ)
    ensure_parts(client, named, (*PARTS, "python"), print)
    return {**{part: named.parts[part] for part in PARTS}, "process": build_little(client, named.parts["python"])}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def runtime(images: Mapping[str, str], cache: Path, toolbox: object) -> DockerRuntime:
    assert toolbox  # databases are filled by a psql of this machine
    return DockerRuntime(images, cache=cache, ready_within_s=90.0)


@pytest.fixture(scope="module")
def stack(
    client: docker.DockerClient, runtime: DockerRuntime, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalStack]:
    with (
        leaving_no_volume(client),
        booted(runtime, little_design(), tmp_path_factory.mktemp("logs")) as stack,
    ):
        yield stack


@pytest.fixture(autouse=True)
def _no_volume_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """By any test that needs the engine."""
    if request.node.get_closest_marker("docker") is None:
        yield
        return
    with leaving_no_volume(request.getfixturevalue("client")):
        yield
