"""How the command ends where its output does not get out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
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


LONG = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored

import duckdb
from crashcart.cli import main
from crashcart.cli.top import cli

@cli.command()
def long():
    duckdb.execute("SELECT count(*) FROM range(10) a, range(10) b").fetchall()  # its first query swallows a key
    print("asking", flush=True)
    duckdb.execute("SELECT sum(a.range * b.range) FROM range(20000) a, range(20000) b").fetchall()

main()
"""


def test_a_key_pressed_in_the_middle_of_a_query_is_no_error_of_ours() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LONG, "long"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asking\n"
        time.sleep(0.2)  # until the query is under way; what comes before it is ended as well
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == ExitStatus.INTERRUPTED, errors
    assert errors == ""
