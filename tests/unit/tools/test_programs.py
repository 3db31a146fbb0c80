from __future__ import annotations

from pathlib import Path

import pytest

from crashcart.tools import programs
from crashcart.tools.programs import Unusable, numbers, require, version_of
from tests.unit.tools.fake_programs import VERSIONS, write_program


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("postgres", "18.6"),
        ("valkey-server", "9.1.2"),
        ("toxiproxy-server", "2.12.0"),
        ("prometheus", "2.42.0"),
        ("go", "1.26.8"),
    ],
)
def test_the_version_is_read_from_what_each_program_prints(tmp_path: Path, name: str, version: str) -> None:
    assert version_of(write_program(tmp_path / name, f"echo '{VERSIONS[name]}'")) == version


def test_a_version_on_standard_error_counts_too(tmp_path: Path) -> None:
    assert version_of(write_program(tmp_path / "program", "echo program 3.4 >&2")) == "3.4"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("exit 3", "says nothing"),
        ("echo toxiproxy-server version git", "version git"),
        ("echo broken 1.2 >&2; exit 1", "broken 1.2"),
    ],
)
def test_a_program_that_fails_or_tells_no_version_is_refused_with_its_own_words(
    tmp_path: Path, body: str, why: str
) -> None:
    with pytest.raises(Unusable, match=why):
        version_of(write_program(tmp_path / "program", body))


def test_a_file_that_is_no_program_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.write_bytes(b"\x7fELF of another machine")
    file.chmod(0o755)
    with pytest.raises(Unusable, match="can not be run"):
        version_of(file)


def test_a_program_that_hangs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "ANSWER_TIMEOUT_S", 0.2)
    with pytest.raises(Unusable, match="timed out"):
        version_of(write_program(tmp_path / "program", "exec /bin/sleep 60"))


def test_versions_are_compared_number_by_number() -> None:
    assert numbers("2.9.1") < numbers("2.12")
    require("2.12.0", "2.12", Path("program"))
    with pytest.raises(Unusable, match=r"program is 2\.9\.1, at least 2\.12 is needed"):
        require("2.9.1", "2.12", Path("program"))
