"""The pipeline's own engine: started where none answers, stopped after, and the status of what failed is kept.

The engine and its client are stand-ins here, shell scripts on PATH: what is tested is `.ci/run`. The pipeline itself
runs it with the real ones.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

PROGRAMS = {
    "docker": 'test -e "$ENGINE/answers"',
    "dockerd": 'trap "rm -f $ENGINE/answers; echo stopped >>$ENGINE/told; exit 0" TERM; '
    'echo started >>"$ENGINE/told"; touch "$ENGINE/answers"; while :; do sleep 0.05; done',
    "make": 'echo "make $1 ${CRASHCART_IMAGES:-none} $CRASHCART_REQUIRE_DOCKER" >>"$ENGINE/told"; '
    'if [ "$1" = test ]; then exit "$STATUS"; fi; echo installing; echo /cache/engine-images.yaml',
    "id": "echo 0",
    "apt-get": "exit 99",
    "debootstrap": "exit 99",
    "ab": "exit 99",
    "chromium": "exit 99",
    "iptables": "exit 0",
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CRASHCART_", "DOCKER_"))}
    return {
        **kept,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "ENGINE": str(tmp_path),
        "CRASHCART_CI_ENGINE": str(tmp_path / "home"),
        "STATUS": "0",
    }


def _run(environment: dict[str, str]) -> tuple[int, list[str], str]:
    done = subprocess.run([ROOT / ".ci/run"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    told = Path(environment["ENGINE"]) / "told"
    return done.returncode, told.read_text(encoding="utf-8").splitlines() if told.exists() else [], done.stderr


@pytest.mark.parametrize("status", [0, 7])
def test_an_engine_is_started_and_stopped_and_the_status_is_that_of_the_tests(
    environment: dict[str, str], status: int
) -> None:
    assert _run({**environment, "STATUS": str(status)})[:2] == (
        status,
        ["started", "make engine-images none 1", "make test /cache/engine-images.yaml 1", "stopped"],
    )


def test_an_engine_that_answers_is_used_and_left_alone(environment: dict[str, str]) -> None:
    (Path(environment["ENGINE"]) / "answers").touch()
    status, told, _ = _run({**environment, "CRASHCART_IMAGES": "mine.yaml"})
    assert (status, told) == (0, ["make test mine.yaml 1"])
    assert (Path(environment["ENGINE"]) / "answers").exists()


def test_an_engine_that_does_not_start_is_a_failure_with_the_end_of_its_log(environment: dict[str, str]) -> None:
    dockerd = Path(environment["ENGINE"]) / "bin/dockerd"
    dockerd.write_text("#!/bin/bash\necho no overlay here\nexit 1\n", encoding="utf-8")
    status, told, said = _run(environment)
    assert status != 0
    assert told == []
    assert "did not start" in said
    assert "no overlay here" in said


def test_whoever_is_not_root_is_told_that_an_engine_is_missing(environment: dict[str, str]) -> None:
    (Path(environment["ENGINE"]) / "bin/id").write_text("#!/bin/bash\necho 1000\n", encoding="utf-8")
    status, told, said = _run(environment)
    assert status != 0
    assert told == []
    assert "no Docker engine answers" in said


def test_compose_is_installed_where_there_is_none(environment: dict[str, str]) -> None:
    home = Path(environment["ENGINE"])
    (home / "answers").touch()
    (home / "bin/docker").write_text('#!/bin/bash\ntest "$1" != compose\n', encoding="utf-8")
    (home / "bin/apt-get").write_text('#!/bin/bash\necho "apt-get $*" >>"$ENGINE/told"\n', encoding="utf-8")
    for name in ("bash", "dirname", "tail"):  # nothing else of this machine, which may have Compose
        found = shutil.which(name)
        assert found is not None
        (home / "bin" / name).symlink_to(found)
    alone = {**environment, "PATH": str(home / "bin"), "CRASHCART_IMAGES": "mine.yaml"}
    status, told, said = _run(alone)
    assert (status, said) == (0, "")
    assert [line.split()[-1] for line in told if line.startswith("apt-get")] == ["-qq", "docker-compose"]
    assert told[-1] == "make test mine.yaml 1"
