"""The two programs that go into the shop's image or its build, run as they are run there."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.images.answering import answering

IMAGES = Path(__file__).parents[3] / "stack/images"


def _health(address: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", IMAGES / "healthcheck.py"],
        env={**os.environ, "LISTEN_ADDRESS": address},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize(("status", "exit_status"), [(200, 0), (503, 1), (404, 1)])
def test_a_service_is_healthy_where_it_answers_200(status: int, exit_status: int) -> None:
    with answering(status) as port:
        assert _health(f"127.0.0.1:{port}").returncode == exit_status
        assert _health(f"0.0.0.0:{port}").returncode == exit_status


def test_a_service_that_nobody_hears_of_is_not_healthy(free_port: int) -> None:
    assert _health(f"127.0.0.1:{free_port}").returncode == 1
    said = _health("")
    assert (said.returncode, said.stdout) == (1, "LISTEN_ADDRESS is not host:port\n")


def test_a_library_without_its_symbols_is_smaller_and_can_be_loaded(tmp_path: Path) -> None:
    spec = importlib.util.find_spec("httptools")
    assert spec is not None
    assert spec.origin is not None
    package = Path(shutil.copytree(Path(spec.origin).parent, tmp_path / "httptools"))
    before = {path: path.stat().st_size for path in package.rglob("*.so")}
    subprocess.run([sys.executable, IMAGES / "without_symbols.py", tmp_path], check=True, timeout=20)
    assert before
    assert all(path.stat().st_size < size for path, size in before.items())
    loading = "import httptools; print(httptools.__file__, httptools.parse_url(b'/a?b').path)"
    done = subprocess.run(
        [sys.executable, "-c", loading],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert done.stdout == f"{package / '__init__.py'} b'/a'\n"


def test_what_is_no_library_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ld.so").write_text("GROUP ( libc.so.6 )", encoding="utf-8")
    subprocess.run([sys.executable, IMAGES / "without_symbols.py", tmp_path], check=True, timeout=20)
    assert (tmp_path / "ld.so").read_text(encoding="utf-8") == "GROUP ( libc.so.6 )"
