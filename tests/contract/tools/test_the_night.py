"""`make nightly` by itself: what it runs, in which order, and what the whole night comes to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PYTHON = """\
#!/bin/sh
echo "$*" >> asked.txt
while read -r status words; do
  case "$*" in *"$words"*) exit "$status";; esac
done < comes-to.txt
"""
SUITE, DEFECTS, AUDIT = "crashcart run --tag nightly", "crashcart selftest --defects", "tests.audit"
PROPERTIES, LONG = "pytest tests/unit/judging", "pytest tests/e2e"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The Makefile with a Python that only notes what it was asked for, in a path with a space."""
    folder = tmp_path / "a clone"
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv-audit").mkdir()
    for file in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-audit.lock"):
        shutil.copyfile(ROOT / file, folder / file)
    python = folder / ".venv" / "bin" / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    # in the order in which make makes them
    for number, stamp in enumerate((".venv/locked", ".venv/project", ".venv-audit/locked"), start=1):
        (folder / stamp).touch()
        later_s = (folder / "Makefile").stat().st_mtime + 10 * number
        os.utime(folder / stamp, (later_s, later_s))
    return folder


def night(checkout: Path, **comes_to: int) -> tuple[int, list[str]]:
    """The status that the night ends with, and what was run in it."""
    words = {"suite": SUITE, "defects": DEFECTS, "properties": PROPERTIES, "long": LONG, "audit": AUDIT}
    lines = [f"{status} {words[part]}\n" for part, status in comes_to.items()]
    (checkout / "comes-to.txt").write_text("".join(lines))
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    done = subprocess.run(
        ["make", "nightly"], cwd=checkout, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    failed = re.search(r"nightly\] Error (\d+)", done.stderr)
    assert (done.returncode == 0) == (failed is None), done.stderr
    asked = (checkout / "asked.txt").read_text().splitlines()
    return int(failed.group(1)) if failed else 0, [line.removeprefix("-m ") for line in asked]


def test_the_suite_comes_first_then_planted_defects_then_the_long_tests(checkout: Path) -> None:
    status, asked = night(checkout)
    assert status == 0
    starts = ("crashcart setup", SUITE, "crashcart diff last-night", DEFECTS, PROPERTIES, LONG, AUDIT)
    assert [line.startswith(start) for line, start in zip(asked, starts, strict=True)] == [True] * len(starts)


@pytest.mark.parametrize("part", ["suite", "defects", "properties", "long", "audit"])
def test_whatever_comes_to_a_fail_the_night_fails_and_goes_on_to_its_end(checkout: Path, part: str) -> None:
    status, asked = night(checkout, **{part: 1})
    assert status == 1
    assert asked[-1].startswith(AUDIT)


@pytest.mark.parametrize(
    ("comes_to", "status"),
    [
        ({"suite": 3}, 3),
        ({"suite": 3, "defects": 1}, 1),
        ({"suite": 3, "long": 1}, 1),
        ({"suite": 1, "defects": 3, "audit": 3}, 1),
        ({"defects": 3}, 3),
        ({"defects": 3, "properties": 1}, 1),
        ({"defects": 70}, 70),
        ({"suite": 3, "defects": 70, "long": 1}, 70),
        ({"suite": 3, "defects": 3, "audit": 3}, 3),
        ({"properties": 2}, 1),
        ({"suite": 5, "defects": 1, "long": 1, "audit": 1}, 5),
        ({"audit": 3}, 3),
    ],
)
def test_the_first_that_is_worse_than_inconclusive_is_what_the_night_ends_with(
    checkout: Path, comes_to: dict[str, int], status: int
) -> None:
    assert night(checkout, **comes_to)[0] == status
