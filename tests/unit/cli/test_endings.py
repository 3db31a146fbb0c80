"""How the command ends where its output does not get out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from crashcart.model.errors import ExitStatus

ROOT = Path(__file__).parents[3]


def test_a_pipe_that_nobody_reads_is_no_failed_objective() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-m", "crashcart", "list"], cwd=ROOT, stdout=write_end, stderr=subprocess.PIPE, check=False
    )
    os.close(write_end)
    assert done.returncode == ExitStatus.OURS, done.stderr
