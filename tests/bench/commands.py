"""How long the commands take that one waits for at a prompt."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = (("--help",), ("list",), ("plan", "card-processor-outage-at-peak"))
TIMES = 5


def command_times(root: Path) -> dict[str, float]:
    """Median wall seconds of each command over five runs, after one that fills the caches."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    found = {}
    for arguments in COMMANDS:
        taken = [_once(root, arguments, environment) for _ in range(TIMES + 1)]
        found[" ".join(arguments)] = round(statistics.median(taken[1:]), 3)
    return found


def _once(root: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> float:
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "crashcart", *arguments],
        cwd=root,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.monotonic() - began
