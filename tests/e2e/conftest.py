"""The command line as its users call it: a process of its own, in a project, with state folders of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from crashcart.model.recording import Event, Manifest
from crashcart.model.verdict import Outcome, Verdict
from crashcart.processes import processes_of_run
from crashcart.safety.faultlog import open_steps, read_log
from crashcart.safety.runlock import LOCK_VARIABLE
from crashcart.tools import cache_dir

ROOT = Path(__file__).parents[2]
CANARY = "canary-5d0c"
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": f"{CANARY}-aws",
    "DATABASE_URL": f"postgresql://shop:{CANARY}-dsn@db.example/shop",
    "PGPASSWORD": f"{CANARY}-pg",
    "GRAFANA_TOKEN": f"{CANARY}-grafana",
    "ADMIN_TOKEN": f"{CANARY}-admin",
    # nobody listens there: what would be sent by way of it is lost, and the run with it
    "HTTP_PROXY": f"http://me:{CANARY}-proxy@127.0.0.1:9",
    "http_proxy": f"http://me:{CANARY}-proxy@127.0.0.1:9",
}
"""What a user's shell may hold, and no file of a run."""
TINY = ROOT / "tests" / "projects" / "tiny"
NOT_COPIED = shutil.ignore_patterns(".git", ".venv*", "runs", ".*_cache", ".hypothesis", "__pycache__", "dist")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two runs of the tiny project fit beside each other; one of the reference shop fills the machine."""
    for item in items:
        here = item.path.is_relative_to(Path(__file__).parent)
        if here and ("shop" in getattr(item, "fixturenames", ()) or item.get_closest_marker("docker")):
            item.add_marker(pytest.mark.alone)


@dataclass(frozen=True)
class Recording:
    """A run's folder, read."""

    path: Path

    @property
    def verdict(self) -> Verdict:
        return msgspec.json.decode((self.path / "verdict.json").read_bytes(), type=Verdict)

    @property
    def manifest(self) -> Manifest:
        return msgspec.json.decode((self.path / "manifest.json").read_bytes(), type=Manifest)

    @property
    def late(self) -> bool:
        """Whether sessions began too late for the run to count."""
        judged = (self.path / "verdict.json").exists()
        return judged and any(check.name == "lateness" and not check.ok for check in self.verdict.validity)

    def events(self, name: str) -> list[Event]:
        lines = (self.path / "events.jsonl").read_bytes().splitlines()
        return [event for line in lines if (event := msgspec.json.decode(line, type=Event)).event == name]


@dataclass(frozen=True)
class Harness:
    """Calls crashcart in a project; recordings go to `runs`, state to a folder of its own."""

    project: Path
    runs: Path
    environment: Mapping[str, str]

    def argv(self, *arguments: str) -> Sequence[str]:
        return (sys.executable, "-m", "crashcart", "--project", str(self.project), *arguments)

    def call(self, *arguments: str, timeout_s: float = 240.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*arguments),
            env=dict(self.environment),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*arguments),
            env=dict(self.environment),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, experiment: str, *arguments: str, timeout_s: float = 240.0) -> subprocess.CompletedProcess[str]:
        return self.call("run", experiment, "--out", str(self.runs), *arguments, timeout_s=timeout_s)

    def run_on_time(
        self, experiment: str, *arguments: str, timeout_s: float = 240.0
    ) -> subprocess.CompletedProcess[str]:
        """The same, and once more if the machine was too busy to begin the sessions on time: that run tells nothing."""
        done = self.run(experiment, *arguments, timeout_s=timeout_s)
        if (self.runs / "latest").exists() and self.latest().late:
            done = self.run(experiment, *arguments, timeout_s=timeout_s)
        return done

    def recordings(self) -> list[Recording]:
        return [Recording(path.parent) for path in sorted(self.runs.glob("*/*/plan.json"))]

    def latest(self) -> Recording:
        return Recording((self.runs / "latest").resolve())

    def active_runs(self) -> list[str]:
        return [path.stem for path in Path(self.environment["XDG_STATE_HOME"]).glob("crashcart/active/*.json")]

    def recorded(self, text: str) -> Recording | None:
        """The recording whose events have that text, if there is one yet."""
        for recording in self.recordings():
            events = recording.path / "events.jsonl"
            if events.exists() and text in events.read_text(encoding="utf-8"):
                return recording
        return None

    def wait_for_recorded(self, text: str, within_s: float = 60.0) -> Recording:
        """The same, waited for."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            if (recording := self.recorded(text)) is not None:
                return recording
            time.sleep(0.02)
        raise AssertionError(f"{text} was not recorded within {within_s} s")

    def wait_for_event(self, process: subprocess.Popen[str], name: str, within_s: float = 60.0) -> Recording:
        """The one recording, once that event is in it."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            if process.poll() is not None:
                raise AssertionError(f"ended with {process.returncode}: {process.communicate()[0]}")
            if (recording := self.recorded(f'"event":"{name}"')) is not None:
                return recording
            time.sleep(0.02)
        process.terminate()
        raise AssertionError(f"no event {name} within {within_s} s: {process.communicate()[0]}")


def nothing_is_left_of(run_id: str, within_s: float) -> bool:
    """Whether no process of the run is left, at the latest after so long."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if not processes_of_run(run_id):
            return True
        time.sleep(0.05)
    return not processes_of_run(run_id)


def shown_and_undone(harness: Harness, experiment: str, file: Path) -> Verdict:
    """Run this text: it passes, each fault is shown, the books are right, and the harness has put everything back."""
    file.write_text(experiment, encoding="utf-8")
    done = harness.run_on_time(str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    recording = harness.latest()
    verdict = recording.verdict
    assert verdict.evidence
    assert all(one.ok for one in verdict.evidence), [one.detail for one in verdict.evidence]
    assert all(invariant.outcome is Outcome.PASS for invariant in verdict.invariants), verdict.invariants
    log = read_log(recording.path / "faultlog.jsonl")
    assert open_steps(log) == ()
    assert {record.by for record in log} == {"harness"}
    assert nothing_is_left_of(recording.manifest.run_id, 0.1)
    return verdict


def _harness(project: Path, tmp_path: Path) -> Harness:
    own = {"XDG_STATE_HOME": str(tmp_path / "state"), "COLUMNS": "120"}
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:  # else the machine's own lock: a run that somebody makes beside the tests is not disturbed
        own[LOCK_VARIABLE] = str(Path(tempfile.gettempdir()) / f"crashcart-run-{worker}.lock")
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return Harness(project, tmp_path / "runs", {**kept, **own})


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, toolbox: object) -> Harness:
    """The tiny project after one whole run of its experiment: for tests that only read."""
    assert toolbox
    harness = _harness(TINY, tmp_path_factory.mktemp("finished"))
    kept = {name: value for name, value in harness.environment.items() if name.lower() != "no_proxy"}
    harness = Harness(harness.project, harness.runs, {**kept, **SECRETS})
    done = harness.run_on_time("shelf-gone")
    assert done.returncode == 0, done.stdout + done.stderr
    return harness


@pytest.fixture
def shop(tmp_path: Path, toolbox: object) -> Harness:
    """The reference project."""
    assert toolbox
    return _harness(ROOT, tmp_path)


@pytest.fixture
def tiny(tmp_path: Path, toolbox: object) -> Harness:
    """The tiny one: boots in a second, and its experiment takes half a minute."""
    assert toolbox
    return _harness(TINY, tmp_path)


@pytest.fixture(scope="session")
def copy(finished: Harness) -> Iterator[Path]:
    """The repository in a folder of its own; a reader has run something before, so `runs/` has one small recording."""
    above = Path(tempfile.mkdtemp(prefix="reader of crashcart "))
    above.chmod(0o755)  # pytest's own folders are closed to the account that databases run as
    folder = above / "copy"
    shutil.copytree(ROOT, folder, ignore=NOT_COPIED)
    shutil.copytree(finished.runs, folder / "runs", symlinks=True)
    fresh = subprocess.run(["make", "--question", ".venv/project"], cwd=ROOT, capture_output=True, check=False)
    if fresh.returncode == 0:  # else `make demo` makes one in the copy, as on a reader's first day
        (folder / ".venv").symlink_to(ROOT / ".venv")
    yield folder
    byte_code = cache_dir() / "pycache" / above.relative_to("/")
    shutil.rmtree(byte_code, ignore_errors=True)  # what was compiled from a folder that nobody uses again
    shutil.rmtree(above)


Demo = tuple[subprocess.CompletedProcess[str], Recording]


@pytest.fixture(scope="session")
def demo(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """What `make demo` said in the copy, and its recording."""
    environment = dict(_harness(ROOT, tmp_path_factory.mktemp("demo")).environment)
    done = subprocess.run(
        ["make", "demo"], cwd=copy, env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    return done, Recording((copy / "runs" / "latest").resolve())
