"""A boot that came to nothing: what it left is ended, or the run stays known to `recover`."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from crashcart.runtimes.docker import DockerRuntime
from crashcart.runtimes.state_dir import STATE_PREFIX
from crashcart.safety.active import forget, read_active
from crashcart.safety.watchdog import Watchdog
from crashcart.wiring.parts import make_parts
from tests.unit.running.fakes import FakeView
from tests.unit.running.test_timeline import demo


@pytest.fixture
def run_id() -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex}"
    yield name
    forget(name)


def test_a_run_whose_engine_kept_something_of_its_boot_stays_known(
    run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make_parts(demo(), run_id, FakeView(), DockerRuntime({}))
    monkeypatch.setattr("crashcart.runtimes.container_leftovers.left_of", lambda _: (f"{run_id}-net",))
    try:
        parts.start_watchdog(run_id, tmp_path).release()
    finally:
        parts.state.close()
    kept = read_active(run_id)
    assert kept is not None, "`crashcart recover` finds it"
    assert kept.runtime == "docker"


@pytest.mark.parametrize("parent", ["/dev/shm", "/var/tmp"])
def test_the_folder_of_a_boot_left_half_way_is_removed(run_id: str, tmp_path: Path, parent: str) -> None:
    watchdog = Watchdog.start(run_id, tmp_path)
    folder = Path(parent, f"{STATE_PREFIX}{run_id}")
    folder.mkdir(mode=0o711)
    try:
        (folder / "data").mkdir()
        watchdog.release()
        assert not folder.exists()
        assert read_active(run_id) is None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_run_of_which_nothing_is_left_is_forgotten(run_id: str, tmp_path: Path) -> None:
    watchdog = Watchdog.start(run_id, tmp_path)
    assert read_active(run_id) is not None
    watchdog.release()
    assert read_active(run_id) is None
