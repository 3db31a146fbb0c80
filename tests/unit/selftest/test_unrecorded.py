"""A run that was hit before it had a recording: what it left is looked for all the same, and what can't be is said."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crashcart.processes import boot_id, own_ref, process_ref
from crashcart.safety.active import ActiveRun, forget, register
from crashcart.selftest.fire import Calm, _Range, _run_hit
from crashcart.selftest.launching import CASE_VARIABLE, Bench, Started
from crashcart.selftest.residue import Residue
from crashcart.selftest.striking import HARNESS, KILL
from crashcart.selftest.unrecorded import Before, look_before, wait_until_unrecorded_is_clean

ROOT = Path(__file__).parents[3]
RUN, ANOTHER = "20260101T000000Z-5e1f", "20260101T000001Z-0a2b"
SLEEP = "import time; print('here', flush=True); time.sleep(60)"
LEAVES_A_CHILD = f"""\
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], stdout=subprocess.PIPE, **dict([OPTION] if OPTION else []))
child.stdout.readline()
print(child.pid, flush=True)
"""


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "case").mkdir()
    (tmp_path / "temporary").mkdir()


@contextmanager
def _over(tmp_path: Path, option: str = "None") -> Iterator[tuple[Started, int]]:
    """A run that has ended, and the child that it left."""
    folder = tmp_path / "case"
    command = [sys.executable, "-c", LEAVES_A_CHILD.replace("OPTION", option)]
    environment = {**os.environ, CASE_VARIABLE: str(folder)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.wait(10)
        try:
            yield Started(process, folder), child
        finally:
            os.kill(child, 9)


@contextmanager
def _childless(tmp_path: Path) -> Iterator[Started]:
    """A run that has ended and left nobody."""
    with subprocess.Popen([sys.executable, "-c", ""], start_new_session=True) as process:
        process.wait(10)
        yield Started(process, tmp_path / "case")


def _looked(run: Started, before: Before) -> Residue:
    return wait_until_unrecorded_is_clean(run, before, frozenset(), 0.2)


def _before(tmp_path: Path) -> Before:
    return look_before(str(tmp_path / "temporary"))


def _registered(run_id: str, recording: Path) -> None:
    register(ActiveRun(run_id, boot_id(), own_ref(), faultlog="", recording=str(recording)))


def test_where_nothing_was_left_it_is_clean_and_somebody_has_looked(tmp_path: Path) -> None:
    before = _before(tmp_path)
    with _childless(tmp_path) as run:
        residue = _looked(run, before)
    assert (residue.left, residue.not_looked_at) == ((), ())
    assert residue.clean_after_s is not None


@pytest.mark.parametrize("option", ["None", "('start_new_session', True)", "('env', {})"])
def test_a_child_is_found_by_its_session_or_by_what_it_was_begun_with(tmp_path: Path, option: str) -> None:
    before = _before(tmp_path)
    with _over(tmp_path, option) as (run, child):
        residue = _looked(run, before)
    assert residue.clean_after_s is None
    assert [f"process {child} " in what for what in residue.left] == [True]


def test_a_process_that_was_seen_while_the_run_went_on_is_residue(tmp_path: Path) -> None:
    before = _before(tmp_path)
    with _over(tmp_path, "('env', {})") as (_, child), _childless(tmp_path) as another:
        ref = process_ref(child)
        assert ref is not None
        assert _looked(another, before).left == ()
        assert wait_until_unrecorded_is_clean(another, before, frozenset({ref}), 0.1).left != ()


def test_a_record_says_by_its_recording_whose_it_is(tmp_path: Path) -> None:
    before = _before(tmp_path)
    with _childless(tmp_path) as run:
        _registered(ANOTHER, tmp_path / "elsewhere" / "tried" / ANOTHER)
        assert _looked(run, before).left == ()
        _registered(RUN, tmp_path / "case" / "tried" / RUN)
        assert _looked(run, before).left == ("its record in the register",)
        forget(RUN)
        assert _looked(run, before).left == ()


def test_a_recording_that_was_begun_tells_the_name_of_the_throw_away_folder(tmp_path: Path) -> None:
    before = _before(tmp_path)
    (tmp_path / "case" / "tried" / RUN / "logs").mkdir(parents=True)
    (tmp_path / "temporary" / f"crashcart-{RUN}").mkdir()
    with _childless(tmp_path) as run:
        residue = _looked(run, before)
    assert residue.left == (f"its folder {tmp_path / 'temporary' / f'crashcart-{RUN}'}",)
    assert residue.not_looked_at == ()


def test_of_a_folder_that_came_meanwhile_and_has_no_owner_nobody_can_tell_and_that_is_not_clean(tmp_path: Path) -> None:
    folder = tmp_path / "temporary" / f"crashcart-{RUN}"
    before = _before(tmp_path)
    folder.mkdir()
    with _childless(tmp_path) as run:
        residue = _looked(run, before)
        assert residue == Residue((), None, (f"nobody can tell whose {folder} is",))
        assert _looked(run, _before(tmp_path)).clean_after_s is not None, "it had been there before"
        _registered(RUN, tmp_path / "elsewhere" / "tried" / RUN)
        assert _looked(run, before).clean_after_s is not None, "it is another run's, which is under way"


def test_a_record_that_nobody_can_read_is_not_clean(tmp_path: Path) -> None:
    before = _before(tmp_path)
    _registered(RUN, tmp_path / "case" / "tried" / RUN)
    (record,) = (tmp_path / "state").rglob("*.json")
    record.write_bytes(b"spoilt")
    with _childless(tmp_path) as run:
        residue = _looked(run, before)
    assert residue == Residue((), None, (f"nobody can read the record {record}",))


def test_a_harness_that_is_killed_before_it_writes_anything_was_looked_after(tmp_path: Path) -> None:
    bench = Bench(ROOT / "tests" / "projects" / "tiny", tmp_path / "out", {})
    calm = Calm(line="", took_s=1.0, lives={HARNESS: (0.0, 0.01)})
    case = "001-kill-harness"
    fired = _run_hit(_Range(bench, "steady-state", 1, calm), {case: (HARNESS, KILL)}, case)
    assert fired.recording == ""
    assert fired.status == -9
    assert (fired.left, fired.not_looked_at, fired.found) == ((), (), ())
    assert fired.clean_after_s is not None
    assert fired.line.endswith("s, without a recording")
