"""What `crashcart selftest` refuses, before anything is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crashcart.model.errors import ExitStatus

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--fire", "1", "--experiment", "steady-state"), "steady-state has no fault"),
        (("--a-a", "1", "--experiment", "steady"), "there is no experiment 'steady'"),
        (("--a-a", "1", "--set", "load.peak_per_s"), "says no value"),
        (("--a-a", "0"), "0 is not in the range"),
        (("--a-a", "1", "--only", "rounding"), "say --defects, too"),
    ],
)
def test_what_can_not_be_tried_is_one_clear_error(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "crashcart", "selftest", *arguments, "--out", str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == ExitStatus.USAGE, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "runs").exists(), "nothing was started"
