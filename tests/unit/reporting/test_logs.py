from __future__ import annotations

import json
from pathlib import Path

import pytest

from crashcart.reporting.logs import find_lines, is_plain, search_command


def write(path: Path, *lines: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))


def line(at: str, reference: str, event: str, **more: object) -> dict[str, object]:
    return {"ts": at, "level": "info", "service": "s", "reference": reference, "event": event, **more}


def test_lines_of_all_services_that_name_a_reference_are_put_in_order_of_time(tmp_path: Path) -> None:
    write(tmp_path / "checkout[0].log", line("10:02", "R-1A2B", "accepted"), line("10:01", "R-OTHER", "placed"))
    write(tmp_path / "payments[0].log", line("10:01", "R-1A2B", "charged", cents=5))
    found = find_lines(tmp_path, ["R-1A2B"])["R-1A2B"]
    assert [(one.log, one.event, one.rest) for one in found] == [
        ("payments[0].log", "charged", "cents=5"),
        ("checkout[0].log", "accepted", ""),
    ]


def test_lines_that_are_no_json_are_shown_as_they_are(tmp_path: Path) -> None:
    write(tmp_path / "a.log", "Traceback R-1A2B \x1b[31m boom", "not this")
    (one,) = find_lines(tmp_path, ["R-1A2B"])["R-1A2B"]
    assert one.event == "Traceback R-1A2B \ufffd[31m boom"


def test_a_line_that_names_two_references_belongs_to_both(tmp_path: Path) -> None:
    write(tmp_path / "a.log", line("1", "R-1A2B", "merged", other="R-3C4D"))
    assert set(find_lines(tmp_path, ["R-1A2B", "R-3C4D"])) == {"R-1A2B", "R-3C4D"}


def test_a_chatty_reference_is_cut(tmp_path: Path) -> None:
    write(tmp_path / "a.log", *(line(f"{i:03d}", "R-1A2B", "again") for i in range(100)))
    assert len(find_lines(tmp_path, ["R-1A2B"])["R-1A2B"]) == 40


def test_an_empty_log_and_a_missing_folder_have_nothing_to_say(tmp_path: Path) -> None:
    (tmp_path / "empty.log").touch()
    assert find_lines(tmp_path, ["R-1A2B"]) == {}
    assert find_lines(tmp_path / "gone", ["R-1A2B"]) == {}


@pytest.mark.parametrize("reference", ["R-1; rm -rf ~", "$(reboot)", "-e", "R-1\nx", "a b", "", None, 7, "x" * 99])
def test_text_that_a_shell_could_obey_never_becomes_a_command(reference: object) -> None:
    assert not is_plain(reference)


def test_a_plain_reference_becomes_a_command() -> None:
    assert is_plain("R-5XJ2K9QW0Z")
    assert search_command("R-5XJ2K9QW0Z") == "grep -rhF R-5XJ2K9QW0Z logs/"


@pytest.mark.parametrize(
    "content",
    [
        b'{"ts":"1","event":' + b"[" * 8000 + b"R-1A2B",
        b"[" * 8000 + b'"R-1A2B"' + b"]" * 8000,
        b'{"a":' * 300 + b'"R-1A2B"' + b"}" * 300,
        b"\x00\xff\xfe R-1A2B \x80\x81",
        b'{"ts": 9' + b"9" * 5000 + b', "event": "R-1A2B"}',
        b'{"ts": null, "level": [], "event": {"R-1A2B": 1e999}}',
        "\u202eR-1A2B\u0000".encode(),
    ],
)
def test_whatever_a_service_writes_is_shown_in_a_bounded_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.log").write_bytes(content + b"\n")
    (one,) = find_lines(tmp_path, ["R-1A2B"])["R-1A2B"]
    assert len(one.event) + len(one.rest) <= 900
    assert not any(ord(char) < 32 or char == "\u202e" for char in one.event + one.rest + one.at + one.level)


def test_a_line_without_an_end_is_read_around_the_reference_alone(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"x" * 5_000_000 + b" R-1A2B " + b"y" * 5_000_000)
    found = find_lines(tmp_path, ["R-1A2B"])["R-1A2B"]
    assert [len(one.event) <= 400 for one in found] == [True]


def test_a_service_that_repeats_a_reference_without_end_is_cut(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"R-1A2B\n" * 500_000)
    assert len(find_lines(tmp_path, ["R-1A2B"])["R-1A2B"]) == 40


def test_links_to_elsewhere_are_not_followed_and_folders_are_not_read(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "secret", "R-1A2B")
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.log").symlink_to(tmp_path / "elsewhere" / "secret")
    (logs / "b.log").mkdir()
    assert find_lines(logs, ["R-1A2B"]) == {}
