"""Bad input is one clear error with file, line and remedy, exit status 2, and nothing was started."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import TINY, Harness

EXPERIMENT = "experiments/shelf-gone.yaml"
DESIGN = "stack/designs/tiny.yaml"
SLO = "stack/slos/purchase-success.yaml"
LOAD = "loadtests/load.yaml"
BOOKS = "stack/truth/books.yaml"
INVARIANT = "stack/truth/invariants/no-order-lost.sql"


@pytest.fixture
def spoilt(tiny: Harness, tmp_path: Path) -> Callable[[str, str, str], Harness]:
    """The tiny project with one text in one file replaced."""

    def spoil(file: str, good: str, bad: str) -> Harness:
        project = tmp_path / "a project"
        shutil.copytree(TINY, project)
        path = project / file
        text = path.read_text(encoding="utf-8")
        assert good in text
        path.write_text(text.replace(good, bad, 1), encoding="utf-8")
        return Harness(project, tiny.runs, tiny.environment)

    return spoil


@pytest.mark.parametrize(
    ("file", "good", "bad", "where", "says"),
    [
        (EXPERIMENT, "design: tiny", "design: tiny: x", f"{EXPERIMENT}:5", "this is not YAML"),
        (EXPERIMENT, "hypothesis:", "hypotesis:", f"{EXPERIMENT}:4", 'did you mean "hypothesis"?'),
        (EXPERIMENT, "warmup: 1s", "warmup: 1 second", f"{EXPERIMENT}:7", "a duration such as 500ms, 20s or 2m"),
        (EXPERIMENT, "link: door.shelf", "link: door.shlef", f"{EXPERIMENT}:9", 'did you mean "door.shelf"?'),
        (EXPERIMENT, "toxiproxy/down", "toxiproxy/donw", f"{EXPERIMENT}:9", 'did you mean "toxiproxy/down"?'),
        (EXPERIMENT, "toxiproxy/down: {link: door.shelf}", "service/kill: {service: shef}", f"{EXPERIMENT}:9", "shelf"),
        (
            EXPERIMENT,
            "{slo: honest-errors}",
            "{slo: honest-error}",
            f"{EXPERIMENT}:14",
            'did you mean "honest-errors"?',
        ),
        (EXPERIMENT, "baseline: 4s", "baseline: 300ms", f"{EXPERIMENT}:13", "is too short for purchase-success"),
        (EXPERIMENT, "for: 3s", "for: 5s", f"{EXPERIMENT}:11", "ends 5s into a fault phase of 4s"),
        (DESIGN, "links: [shelf]", "links: [shlef]", f"{DESIGN}:8", 'did you mean "shelf"?'),
        (DESIGN, "entry: true", "entry: false", f"{DESIGN}:4", "exactly one service is the shoppers' entry"),
        (SLO, 'sli="purchase",outcome="ok"', "sli=purchase", f"{SLO}:14", "cannot read the labels"),
        (LOAD, "left: 0.5", "left: 0.4", f"{LOAD}:6", "the shares of side sum to 0.9"),
        (BOOKS, "ledger: shelf", "ledgr: shelf", f"{BOOKS}:5", 'did you mean "ledger"?'),
        (INVARIANT, "-- examined:", "-- looked at:", INVARIANT, "no second query"),
    ],
)
def test_a_bad_file_is_named_with_its_line(
    spoilt: Callable[[str, str, str], Harness], file: str, good: str, bad: str, where: str, says: str
) -> None:
    harness = spoilt(file, good, bad)
    done = harness.run("shelf-gone")
    assert done.returncode == 2, done.stdout + done.stderr
    assert where in done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not harness.runs.exists(), "nothing was started"


def test_a_runs_folder_that_can_not_be_written_is_named(tiny: Harness, tmp_path: Path) -> None:
    in_the_way = tmp_path / "runs"
    in_the_way.write_text("a file", encoding="utf-8")
    done = tiny.run("shelf-gone")
    assert done.returncode == 2
    assert "the recording can't be written" in done.stderr
    assert "--out" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("plan", "shelf-gon"), 'did you mean "shelf-gone"?'),
        (("plan", "shelf-gone", "--design", "tny"), 'did you mean "tiny"?'),
        (("plan", "shelf-gone", "--set", "load.peak_per_s"), "says no value"),
        (("plan", "shelf-gone", "--set", "load.peak_per_s=many"), "expected a number"),
        (("plan",), "Missing argument"),
        (("judge", "no/such/recording"), "is not a recording"),
        (("fly",), "No such command"),
    ],
)
def test_bad_arguments_are_usage_errors(tiny: Harness, arguments: tuple[str, ...], says: str) -> None:
    done = tiny.call(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_no_project_is_named(tiny: Harness, tmp_path: Path) -> None:
    done = Harness(tmp_path, tiny.runs, tiny.environment).call("list")
    assert done.returncode == 2
    assert "is not a crashcart project" in done.stderr
