"""`crashcart dashboards build` in projects of every kind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TINY = ROOT / "tests" / "projects" / "tiny"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that has no dashboards."""
    shutil.copytree(TINY, tmp_path / "tiny", ignore=shutil.ignore_patterns("runs", "__pycache__"))
    return tmp_path / "tiny"


def build(project: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "crashcart", "--project", str(project), "dashboards", "build"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_project_without_dashboards_gets_the_rules_of_its_slos(project: Path) -> None:
    done = build(project)
    assert done.returncode == 0, done.stderr
    slos = {path.name for path in (project / "stack" / "slos").glob("*.yaml")}
    assert {path.name for path in (project / "dashboards" / "rules").iterdir()} == slos != set()


def test_the_rules_of_an_slo_that_is_gone_go_too_and_nobody_elses(project: Path) -> None:
    assert build(project).returncode == 0
    rules = project / "dashboards" / "rules"
    gone, mine = rules / "gone.yaml", rules / "mine.yaml"
    shutil.copyfile(next(rules.glob("*.yaml")), gone)
    mine.write_text("groups: []\n", encoding="utf-8")
    assert build(project).returncode == 0
    assert not gone.exists()
    assert mine.exists()


def test_the_projects_own_program_is_started_in_the_project(project: Path) -> None:
    program = project / "dashboards"
    program.mkdir()
    (program / "__init__.py").touch()
    write = "import pathlib; p = pathlib.Path('dashboards/grafana'); p.mkdir(); (p / 'mine.json').write_text('{}')\n"
    (program / "__main__.py").write_text(write, encoding="utf-8")
    done = build(project)
    assert done.returncode == 0, done.stderr
    assert "dashboards/grafana/mine.json" in done.stdout


def test_a_program_that_fails_is_one_clear_error(project: Path) -> None:
    program = project / "dashboards"
    program.mkdir()
    (program / "__init__.py").touch()  # else a `dashboards` elsewhere on the path would be the one that is started
    (program / "__main__.py").write_text("raise SystemExit('no SDK here')\n", encoding="utf-8")
    done = build(project)
    assert done.returncode == 2
    assert done.stderr.startswith("crashcart: python -m dashboards: no SDK here\n")
