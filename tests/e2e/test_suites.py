"""Several experiments as one: chosen, run, kept, compared. On the tiny project, with experiments beside its own."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from crashcart.model.errors import ExitStatus
from crashcart.model.verdict import Outcome
from crashcart.shelf.suite import Suite
from tests.e2e.conftest import TINY, Harness, nothing_is_left_of

QUIET = """
apiVersion: crashcart/v1
kind: Experiment
metadata: {name: quiet, title: Nothing is done to it, tags: [nightly, short]}
hypothesis: All is well.
design: tiny
load: {profile: steady, peak_per_s: 25, seed: 3}
timeline: {warmup: 1s, baseline: 5s}
expect:
  baseline: [{slo: purchase-success}]
  always: {invariants: all}
"""
MOST_OVERHEAD_S = 15.0
AT_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(1, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""The leader of a session hears of it when its terminal goes away."""


@pytest.fixture
def suite(tiny: Harness, tmp_path: Path) -> Harness:
    """The tiny project with two nightly experiments, and one that is meant to fail."""
    project = tmp_path / "a project"
    shutil.copytree(TINY, project)
    folder = project / "experiments"
    path = folder / "shelf-gone.yaml"
    text = path.read_text(encoding="utf-8").replace("name: shelf-gone,", "name: shelf-gone, tags: [nightly],", 1)
    path.write_text(text, encoding="utf-8")
    (folder / "quiet.yaml").write_text(QUIET, encoding="utf-8")
    shown = QUIET.replace("name: quiet", "name: shown").replace("short", "demonstration")
    (folder / "shown.yaml").write_text(shown, encoding="utf-8")
    return Harness(project, tiny.runs, tiny.environment)


def suites(harness: Harness) -> list[tuple[Path, Suite]]:
    paths = sorted((harness.runs / "suites").iterdir())
    return [(path, msgspec.json.decode((path / "summary.json").read_bytes(), type=Suite)) for path in paths]


def red(junit: Path) -> list[str]:
    root = ET.parse(junit).getroot()
    return [str(case.get("message")) for case in (*root.findall(".//failure"), *root.findall(".//error"))]


@pytest.mark.timeout(300)
def test_a_night_is_run_kept_and_compared_with_the_next(suite: Harness, tmp_path: Path) -> None:
    junit = tmp_path / "ci" / "junit.xml"
    out = ("--out", str(suite.runs))
    done = suite.call("run", "--tag", "nightly", "--rerun-inconclusive", "1", "--junit", str(junit), *out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 2  quiet: Nothing is done to it, about " in done.stdout
    assert "2 of 2  shelf-gone: " in done.stdout
    ((folder, kept),) = suites(suite)
    assert (kept.ended, kept.exit_status) == ("completed", 0)
    assert [entry.experiment for entry in kept.entries] == ["quiet", "shelf-gone"], "not the demonstration"
    assert all(entry.outcome is Outcome.PASS for entry in kept.entries)
    assert len(kept.overheads_s) >= 2
    assert max(kept.overheads_s) <= MOST_OVERHEAD_S
    assert "beside the timelines" in done.stdout
    assert red(junit) == []
    assert (folder / "junit.xml").read_bytes() == junit.read_bytes()
    assert "| [shelf-gone](../../shelf-gone/" in (folder / "summary.md").read_text(encoding="utf-8")

    assert "is the only suite" in suite.call("diff", "last-night", *out).stdout
    again = suite.call("run", "--tag", "nightly,short", "--not-tag", "demonstration", "--fail-fast", *out)
    assert again.returncode == 0, again.stdout + again.stderr
    compared = suite.call("diff", "last-night", *out)
    assert compared.returncode == 0, compared.stderr
    assert compared.stdout.count("2 pass") == 2
    assert "new failure" not in compared.stdout

    listed = suite.call("runs", *out)
    assert listed.stdout.count("pass") == 4
    changed = suite.call("runs", *out, "diff", "shelf-gone", "quiet")
    assert "These are different experiments" in changed.stdout
    same = suite.call("runs", *out, "diff", "--json", "previous", "latest")
    diff = msgspec.json.decode(same.stdout)
    assert diff["before"]["experiment"] == diff["after"]["experiment"] == "shelf-gone"
    assert diff["objectives_compared"] == 4
    assert not [change for change in diff["changes"] if change["way"] == "new failure"]
    assert "exit status 0" in suite.call("runs", *out, "show", "quiet").stdout

    pruned = suite.call("runs", *out, "prune", "--keep", "1")
    assert "2 folders would go" not in pruned.stdout
    assert "freed" in pruned.stdout
    assert len(suite.recordings()) == 2
    assert suite.call("runs", *out, "show", "latest").returncode == 0


@pytest.mark.timeout(120)
def test_a_terminal_that_goes_away_ends_the_run_and_the_suite_properly(suite: Harness) -> None:
    ours, theirs = pty.openpty()
    argv = suite.argv("run", "--tag", "nightly", "--out", str(suite.runs))
    process = subprocess.Popen(
        [sys.executable, "-c", AT_A_TERMINAL, *argv],
        env=dict(suite.environment),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        events = _first_recording(suite, ours) / "events.jsonl"
        while '"event":"load-started"' not in events.read_text(encoding="utf-8"):
            _read_some(ours)
    finally:
        os.close(ours)  # the terminal is gone: SIGHUP, and whatever is written to it is an error
    assert process.wait(timeout=60) == ExitStatus.INTERRUPTED
    ((folder, kept),) = suites(suite)
    assert (kept.ended, kept.exit_status) == ("interrupted", ExitStatus.INTERRUPTED)
    (recording,) = suite.recordings()
    assert recording.manifest.ended == "interrupted"
    assert recording.verdict.outcome is Outcome.INCONCLUSIVE
    assert nothing_is_left_of(recording.path.name, 0.1)
    assert suite.active_runs() == []
    assert "Not run: the suite ended before it." in red(folder / "junit.xml")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, with a little more room than a run asks for."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=230m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a disk can be mounted by root alone")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.timeout(120)
def test_a_disk_that_fills_up_ends_the_suite_with_a_word_and_everything_put_back(
    suite: Harness, small_disk: Path
) -> None:
    full = Harness(suite.project, small_disk / "runs", suite.environment)
    process = full.start("run", "shelf-gone", "quiet", "--out", str(full.runs))
    recording = full.wait_for_event(process, "fault-injected")
    with (small_disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(1 << 16))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == ExitStatus.OURS, output
    assert "the disk is full" in output
    assert "prune" in output
    assert "Traceback" not in output
    assert "quiet: Nothing is done to it" not in output, "nothing more is begun"
    assert nothing_is_left_of(recording.path.name, 0.1)
    assert full.active_runs() == []
    listed = full.call("runs", "--out", str(full.runs))
    assert "cut short" in listed.stdout
    (small_disk / "filler").unlink()


def _first_recording(harness: Harness, screen: int, within_s: float = 30.0) -> Path:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        _read_some(screen)
        for recording in harness.recordings():
            if (recording.path / "events.jsonl").exists():
                return recording.path
    raise AssertionError("nothing began")


def _read_some(screen: int) -> None:
    """A terminal that nobody reads fills up and holds the writer up."""
    os.read(screen, 4096)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "which experiments?"),
        (("--tag", ""), "a tag is empty"),
        (("--tag", "nigthly"), 'did you mean "nightly"?'),
        (("--tag", "nightly", "--junit", "."), "that is a folder"),
        (("stack/",), ":2: kind is 'Design'"),
        (("loadtests/../stack/truth/invariants",), "there is no experiment in the folder"),
        (("quiet", "shelf-gon"), 'did you mean "shelf-gone"?'),
        (("quiet", "shelf-gone", "--set", "load.profile=steep"), "2 of 2 experiments can't be planned"),
    ],
)
def test_what_can_not_be_run_is_said_before_anything_starts(
    suite: Harness, arguments: tuple[str, ...], says: str
) -> None:
    local = [str(suite.project / one) if "/" in one else one for one in arguments]
    done = suite.call("run", *local, "--out", str(suite.runs))
    assert done.returncode == ExitStatus.USAGE, done.stdout + done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not suite.runs.exists()


def test_a_runs_folder_that_can_not_be_written_ends_a_suite_before_it_begins(suite: Harness) -> None:
    suite.runs.write_text("a file in the way", encoding="utf-8")
    done = suite.call("run", "--tag", "nightly", "--out", str(suite.runs))
    assert done.returncode == ExitStatus.USAGE
    assert "the suite can't be written" in done.stderr
    assert "--out" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("runs", "show", "nothing"), "there is no recording"),
        (("runs", "show"), "there are no recordings"),
        (("runs", "prune"), "say --keep 20"),
        (("runs", "prune", "--older-than", "two days"), "is not an age"),
        (("diff", "last-night"), "there are no suites"),
        (("diff", "a", "b"), "there is no suite"),
    ],
)
def test_what_is_not_there_can_not_be_shown(suite: Harness, arguments: tuple[str, ...], says: str) -> None:
    done = suite.call(*arguments)
    assert done.returncode == ExitStatus.USAGE, done.stdout
    assert says in done.stderr
    assert "Traceback" not in done.stderr
