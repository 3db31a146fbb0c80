"""An environment with grafana-client, and a stand-in of Grafana."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from crashcart.tools.cache import move_in, workshop, writable_cache_dir
from tests.contract.grafana.stand_in import StandIn, listening

ROOT = Path(__file__).parents[3]
LOCK = ROOT / "requirements-grafana.lock"


@pytest.fixture(scope="session")
def python_with_client() -> Path:
    """A Python that has what requirements-grafana.lock says before all that this one has; made once per user.

    In an environment of its own, since grafana-client brings another `urllib3`, which would replace the one here.
    """
    facts = (LOCK.read_bytes(), sys.version, sysconfig.get_path("purelib"))
    place = writable_cache_dir() / f"grafana-client-{hashlib.sha256(repr(facts).encode()).hexdigest()[:12]}"
    with FileLock(writable_cache_dir() / "grafana-client.lock"):
        if not place.exists():
            with workshop(writable_cache_dir()) as scratch:
                make(scratch / "venv")
                move_in(scratch / "venv", place)
    return place / "bin" / "python"


def make(venv: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=120)
    python = str(venv / "bin" / "python")
    pip = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--only-binary",
        ":all:",
    ]
    subprocess.run([*pip, "--no-deps", "--require-hashes", "--requirement", str(LOCK)], check=True, timeout=300)
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    own = Path(subprocess.run(asked, check=True, capture_output=True, text=True, timeout=20).stdout.strip())
    (own / "everything-else.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")


@pytest.fixture
def grafana() -> Iterator[StandIn]:
    with listening(StandIn()) as stand_in:
        yield stand_in
