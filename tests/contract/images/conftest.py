"""The engine of this machine, and an address on which nobody answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crashcart.images import connect
from crashcart.loading import open_project
from crashcart.loading.images import load_images

if TYPE_CHECKING:
    import docker

    from crashcart.model.images import Images

ROOT = Path(__file__).parents[3]


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    client = connect()
    yield client
    client.close()


@pytest.fixture
def images() -> Images:
    """What this machine's tests use: in the pipeline its stand-ins."""
    return load_images(open_project(ROOT), os.environ)
