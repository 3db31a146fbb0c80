"""`crashcart images`, as it is typed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.images.conftest import ROOT


def _crashcart(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "crashcart", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


@pytest.mark.parametrize("command", ["build", "list"])
def test_without_an_engine_it_ends_with_one_clear_error(command: str, tmp_path: Path) -> None:
    done = _crashcart("images", command, DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no Docker engine answers" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_variable_is_refused_before_the_engine_is_asked(tmp_path: Path) -> None:
    done = _crashcart("images", "list", DOCKER_HOST=f"unix://{tmp_path}/none.sock", CRASHCART_IMAGE_VALKEYS="x:1")
    assert done.returncode == 2
    assert 'did you mean "CRASHCART_IMAGE_VALKEY"?' in done.stderr


@pytest.mark.docker
@pytest.mark.timeout(300)
def test_what_was_built_is_listed_with_its_size() -> None:
    built = _crashcart("images", "build")
    assert built.returncode == 0, built.stderr
    tag = built.stdout.splitlines()[-1].split()[0]
    listed = _crashcart("images", "list")
    row = next(line for line in listed.stdout.splitlines() if line.startswith("shop "))
    assert row.split()[1] == tag
    assert row.rstrip().endswith(" MB")


@pytest.mark.docker
def test_a_base_that_can_not_be_had_is_told_once_and_in_full(free_port: int) -> None:
    done = _crashcart("images", "build", CRASHCART_IMAGE_PYTHON=f"127.0.0.1:{free_port}/python:3.13")
    assert done.returncode == 2
    assert done.stderr.count("crashcart:") == 1
    assert "the image of python is not here and can not be pulled" in done.stderr
    assert "CRASHCART_IMAGE_PYTHON=" in done.stderr
    assert "Traceback" not in done.stderr
