from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crashcart.model.errors import UsageError
from crashcart.safety.runlock import LOCK_VARIABLE, runlock

HOLD = """
import sys, time
from crashcart.safety.runlock import runlock
with runlock("run-of-another"):
    print("held", flush=True)
    time.sleep(60)
"""
ROOT = Path(__file__).parents[3]


def test_a_second_run_is_told_who_holds_the_machine_until_the_holder_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOCK_VARIABLE, str(tmp_path / "lock"))
    holder = subprocess.Popen([sys.executable, "-c", HOLD], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=f"run-of-another of process {holder.pid}"), runlock("run-2"):
            pass
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
    with runlock("run-2"):
        pass
    with runlock("run-3"):
        pass


def test_a_lock_that_was_tidied_away_holds_nobody_off_but_one(tmp_path: Path) -> None:
    with runlock("run-1", tmp_path / "lock"):
        (tmp_path / "lock").unlink()
        with (
            runlock("run-2", tmp_path / "lock"),
            pytest.raises(UsageError, match="run-2"),
            runlock("run-3", tmp_path / "lock"),
        ):
            pass


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(UsageError, match="the lock can't be taken"), runlock("run-1", tmp_path / "lock"):
        pass
    assert (tmp_path / "precious").read_text() == "precious"
