"""Starting a hog, from the process that will let it go."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import msgspec

import crashcart
from crashcart.model.errors import CrashcartError
from crashcart.model.topology import Topology
from crashcart.runtimes.hog import READY, Orders
from crashcart.runtimes.spec import base_environment
from crashcart.runtimes.stopping import hog_name

READY_WITHIN_S = 8.0
END_WITHIN_S = 1.0


class RunningHog:
    """Implements `ports.Holder`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def close(self) -> None:
        """End it. What it slowed runs when this returns, unless the hog had to be killed: then a moment later."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start_hog(topology: Topology, instance: str, share: float) -> RunningHog:
    """Let the instance run for `1 − share` of the time only; it has been stopped for the first time on return.

    Raises:
        CrashcartError: it did not come about; nothing is left stopped then.
    """
    found = topology.instance(instance)
    orders = Orders(topology.run_id, instance, found.data_dir or found.spec_file, share, os.getpid())
    environment = base_environment(topology.run_id, hog_name(instance), "part")
    environment["PYTHONPATH"] = str(Path(crashcart.__file__).resolve().parent.parent)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "crashcart.runtimes.hog", msgspec.json.encode(orders).decode()],
        env=environment,
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None
    readable = select.select([process.stdout], [], [], READY_WITHIN_S)[0]
    if not readable or process.stdout.readline() != READY:
        RunningHog(process).close()
        raise CrashcartError("the process that slows it did not start", where=instance)
    return RunningHog(process)
