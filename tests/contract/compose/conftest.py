"""The Compose of this machine: the plugin, else docker-compose 1.29."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.engine.presence import REQUIRED


@pytest.fixture(scope="session")
def compose() -> tuple[str, ...]:
    """The words that it is called by."""
    plugin = ("docker", "compose")
    asked = subprocess.run([*plugin, "version"], capture_output=True, timeout=30, check=False)
    if asked.returncode == 0:
        return plugin
    if shutil.which("docker-compose"):
        return ("docker-compose",)
    if os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set, and there is neither `docker compose` nor docker-compose", pytrace=False)
    pytest.skip("there is neither `docker compose` nor docker-compose here")
