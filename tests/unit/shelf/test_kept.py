"""Finding recordings, whatever state they are in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from crashcart.model.errors import UsageError
from crashcart.model.topology import ProcessRef
from crashcart.model.verdict import Outcome
from crashcart.processes import boot_id
from crashcart.safety.active import ActiveRun, register
from crashcart.shelf.kept import find, read_kept
from tests.unit.shelf.made import a_verdict, record

OLD, MIDDLE, NEW = "20261120T080000Z-aaaa", "20261121T080000Z-bbbb", "20261122T080000Z-cccc"


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    record(folder, MIDDLE, a_verdict(Outcome.FAIL), experiment="other")
    record(folder, OLD, a_verdict())
    record(folder, NEW, a_verdict())
    (folder / "suites" / OLD).mkdir(parents=True)
    (folder / "latest").symlink_to(f"shelf-gone/{NEW}")
    return folder


def test_recordings_are_listed_newest_first_with_their_verdicts(runs: Path) -> None:
    kept = read_kept(runs)
    assert [(one.run_id, one.experiment, one.outcome) for one in kept] == [
        (NEW, "shelf-gone", Outcome.PASS),
        (MIDDLE, "other", Outcome.FAIL),
        (OLD, "shelf-gone", Outcome.PASS),
    ]
    assert kept[0].took_s == 90.0
    assert kept[0].commit == "abc1234"
    assert kept[0].bytes == sum(path.stat().st_size for path in kept[0].path.rglob("*"))


def test_those_of_one_experiment_and_so_many(runs: Path) -> None:
    assert [one.run_id for one in read_kept(runs, "shelf-gone", 1)] == [NEW]
    with pytest.raises(UsageError, match="there is no recording of 'shelf-gon'") as raised:
        read_kept(runs, "shelf-gon")
    assert 'did you mean "shelf-gone"?' in raised.value.remedy


def test_no_folder_is_no_recordings(tmp_path: Path) -> None:
    assert read_kept(tmp_path / "nowhere") == []


def _without(name: str) -> Callable[[Path], None]:
    return lambda run: (run / name).unlink()


def _with(name: str, content: bytes) -> Callable[[Path], None]:
    def write(run: Path) -> None:
        (run / name).write_bytes(content)

    return write


@pytest.mark.parametrize(
    ("spoil", "state"),
    [
        (_without("manifest.json"), "cut short"),
        (_without("verdict.json"), "not judged"),
        (_with("manifest.json", b'{"format": "crash'), "unreadable"),
        (_with("manifest.json", b"\xff\xfe\x00"), "unreadable"),
        (_with("manifest.json", b'{"format": "somebody else\'s"}'), "unreadable"),
        (_with("manifest.json", b'{"format": "crashcart/recording/v7"}'), "newer"),
        (_with("verdict.json", b"[]"), "unreadable"),
        (_with("verdict.json", b""), "unreadable"),
    ],
)
def test_what_can_not_be_read_is_listed_as_such(runs: Path, spoil: Callable[[Path], None], state: str) -> None:
    spoil(runs / "shelf-gone" / NEW)
    (newest, *others) = read_kept(runs)
    assert newest.run_id == NEW
    assert newest.state == state
    assert newest.note
    assert [one.state for one in others] == ["judged", "judged"]


def test_a_run_that_goes_on_is_not_called_cut_short(runs: Path) -> None:
    (runs / "shelf-gone" / NEW / "manifest.json").unlink()
    me = ProcessRef(os.getpid(), 0, boot_id())
    register(ActiveRun(NEW, boot_id(), me, "", str(runs / "shelf-gone" / NEW)))
    assert read_kept(runs)[0].state == "under way"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("latest", f"shelf-gone/{NEW}"),
        ("previous", f"shelf-gone/{OLD}"),
        ("other", f"other/{MIDDLE}"),
        (NEW, f"shelf-gone/{NEW}"),
        ("20261121", f"other/{MIDDLE}"),
        (f"shelf-gone/{OLD[:8]}", f"shelf-gone/{OLD}"),
    ],
)
def test_a_recording_is_found_by_what_people_say(runs: Path, wanted: str, found: str) -> None:
    assert find(runs, wanted) == runs / found


def test_a_recording_is_found_by_its_path(runs: Path) -> None:
    assert find(runs, str(runs / "latest")) == (runs / "shelf-gone" / NEW).resolve()


@pytest.mark.parametrize(
    ("wanted", "says"), [("2026112", "is the beginning of 3 names"), ("nothing", "no recording"), ("", "no recording")]
)
def test_what_is_not_one_recording_is_an_error(runs: Path, wanted: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        find(runs, wanted)


def test_there_is_nothing_before_the_first(runs: Path) -> None:
    with pytest.raises(UsageError, match="there is no recording of other before"):
        find(runs, "previous", before=runs / "other" / MIDDLE)


def test_a_link_to_a_folder_is_no_second_recording(runs: Path) -> None:
    (runs / "shelf-gone" / "20261123T080000Z-link").symlink_to(NEW)
    assert len(read_kept(runs)) == 3


def test_kept_recordings_are_data(runs: Path) -> None:
    assert b'"outcome":"pass"' in msgspec.json.encode(read_kept(runs)[0], enc_hook=str)
