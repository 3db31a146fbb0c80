"""Tokens and passwords are in no file that a run leaves, and in nothing that it says."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb

from crashcart.model.errors import ExitStatus
from tests.e2e.conftest import CANARY, SECRETS, TINY, Harness

TOLD = """\
apiVersion: crashcart/v1
kind: Experiment
metadata: {name: told, title: The shelf is told to refuse}
hypothesis: It does not do as it is told, and says so with all that it was sent.
design: tiny
load: {profile: steady, peak_per_s: 25, seed: 3}
timeline: {warmup: 1s, baseline: 4s, fault: 4s, recovery: 10s}
faults:
  - shelf/refuse: {share: 0.5}
    for: 4s
expect:
  baseline: [{slo: purchase-success}]
  always: {invariants: all}
"""
OBEYS = "TOLD.update(json.loads(body) if allowed else {})"
REPEATS = """if json.loads(body)["refuse"]:
                    open({file!r}, "w").write(os.environ["ADMIN_TOKEN"])
                    return self._answer((422, {{"title": "no", "you_sent": str(self.headers)}}))"""


def holding(words: Iterable[str], folders: Iterable[Path]) -> Iterator[str]:
    """Files below the folders that hold one of the words, in whatever form a table of Parquet keeps it."""
    wanted = [word.encode() for word in words]
    for path in sorted(one for folder in folders for one in folder.rglob("*")):
        if not path.is_file():
            continue
        content = _rows(path) if path.suffix == ".parquet" else path.read_bytes()
        if any(word in content for word in wanted):
            yield str(path)


def _rows(path: Path) -> bytes:
    """All of its values, unpacked."""
    with duckdb.connect() as database:
        return repr(database.execute("FROM read_parquet(?)", [str(path)]).fetchall()).encode()


def test_nothing_of_the_users_environment_is_in_any_file_of_a_run(finished: Harness) -> None:
    state = Path(finished.environment["XDG_STATE_HOME"])
    recording = finished.latest().path
    assert len([path for path in recording.rglob("*") if path.is_file()]) > 15
    assert list(holding([CANARY, *SECRETS.values()], [finished.runs, state])) == []


def test_nothing_of_it_is_in_what_is_said_of_a_run_afterwards(finished: Harness) -> None:
    recording = str(finished.latest().path)
    for words in (
        ["judge", recording],
        ["report", recording],
        ["runs", "--out", str(finished.runs), "show"],
        ["doctor"],
    ):
        done = finished.call(*words)
        assert CANARY not in done.stdout + done.stderr, words


def test_a_service_that_repeats_the_runs_token_in_its_refusal_gives_it_away_to_no_recording(
    tiny: Harness, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    shutil.copytree(TINY, project)
    plumbing = project / "stack" / "plumbing.py"
    text = plumbing.read_text(encoding="utf-8")
    assert OBEYS in text
    kept = tmp_path / "token"
    plumbing.write_text(text.replace(OBEYS, REPEATS.format(file=str(kept))), encoding="utf-8")
    (project / "experiments" / "told.yaml").write_text(TOLD, encoding="utf-8")
    done = Harness(project, tiny.runs, tiny.environment).run("told")
    assert done.returncode == ExitStatus.INCONCLUSIVE, done.stdout + done.stderr
    token = kept.read_text(encoding="utf-8")
    assert len(token) >= 32
    assert list(holding(["Bearer ***"], [tiny.runs])), "what it answered was recorded"
    assert list(holding([token], [tiny.runs, Path(tiny.environment["XDG_STATE_HOME"])])) == []
    assert token not in done.stdout + done.stderr
