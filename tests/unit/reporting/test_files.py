from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from crashcart.reporting import unwritten, write_all
from crashcart.reporting.files import CannotWrite, write_text
from crashcart.reporting.jsonfile import read_verdict
from tests.unit.reporting.conftest import Made


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: to who writes, that is a disk without room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def recording(failed: Made, tmp_path: Path) -> Path:
    return Path(shutil.copytree(failed.folder, tmp_path / "recording"))


def test_without_room_for_the_page_the_verdict_is_kept_and_what_is_missing_is_named(
    failed: Made, recording: Path
) -> None:
    with room_for(150_000):
        write_all(recording, failed.verdict)
    assert unwritten(recording, failed.verdict) == ("report.html",)
    assert read_verdict(recording / "verdict.json").headline == failed.verdict.headline
    assert not list(recording.glob(".*"))


def test_without_room_for_the_verdict_no_report_is_called_written(failed: Made, recording: Path) -> None:
    with room_for(100):
        write_all(recording, failed.verdict)
    assert unwritten(recording, failed.verdict) == (
        "verdict.json",
        "junit.xml",
        "failed-orders.csv",
        "report.md",
        "report.html",
    )


def test_reports_of_another_verdict_do_not_pass_for_these(failed: Made, recording: Path) -> None:
    write_all(recording, failed.verdict)
    assert unwritten(recording, failed.verdict) == ()
    assert "report.html" in unwritten(recording, msgspec.structs.replace(failed.verdict, headline="another"))


@pytest.mark.parametrize("name", ["report.html", ".report.html.partial"])
def test_links_that_lie_in_somebody_elses_recording_are_replaced_and_not_written_through(
    tmp_path: Path, name: str
) -> None:
    mine, recording = tmp_path / "mine.txt", tmp_path / "recording"
    mine.write_text("mine")
    recording.mkdir()
    (recording / name).symlink_to(mine)
    page = write_text(recording / "report.html", "theirs")
    assert (page.read_text(), page.is_symlink()) == ("theirs", False)
    assert mine.read_text() == "mine"
    assert [file.name for file in recording.iterdir()] == ["report.html"]


def test_what_stood_there_before_still_does_where_there_is_no_room(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.txt", "before")
    with room_for(100), pytest.raises(CannotWrite, match=r"a\.txt: cannot write: .*\n  choose a folder"):
        write_text(path, "x" * 1000)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
