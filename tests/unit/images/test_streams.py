"""What the engine says while it works."""

from __future__ import annotations

import json

import pytest

from crashcart.images.streams import LAST_LINES, EngineSaid, follow


def _said(*objects: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\r\n" for one in objects)


def test_lines_come_whole_however_the_stream_is_cut() -> None:
    stream = _said(
        {"stream": "Step 1/2 : FROM x\n"}, {"stream": "\n"}, {"stream": "grün\n"}, {"aux": {"ID": "sha256:1"}}
    )
    pieces = [stream[at : at + 3] for at in range(0, len(stream), 3)]
    lines: list[str] = []
    assert follow(pieces, lines.append) == "sha256:1"
    assert lines == ["Step 1/2 : FROM x", "grün"]


def test_an_error_comes_with_its_step_and_that_steps_last_lines() -> None:
    chatter = [{"stream": f"line {number}\n"} for number in range(30)]
    stream = _said(
        {"stream": "Step 1/2 : A"}, {"stream": "old"}, {"stream": "Step 2/2 : B"}, *chatter, {"error": "gone"}
    )
    with pytest.raises(EngineSaid, match="gone") as said:
        follow([stream], lambda line: None)
    assert said.value.step == "Step 2/2 : B"
    assert said.value.last_lines == tuple(f"line {number}" for number in range(30 - LAST_LINES, 30))


@pytest.mark.parametrize("end", [b'{"stream": "Step 2', b"<html>", b"[]"])
def test_a_stream_that_breaks_off_is_an_error(end: bytes) -> None:
    with pytest.raises(EngineSaid, match="broke off"):
        follow([_said({"stream": "Step 1/2 : A"}), end], lambda line: None)


def test_the_names_of_layers_and_the_colours_of_errors_are_left_out() -> None:
    lines: list[str] = []
    said = (" ---> 384685dc3970", " ---> Running in 1", "\x1b[91moh no\n\x1b[0m", "Removing intermediate container 1")
    follow([_said(*({"stream": text} for text in said))], lines.append)
    assert lines == ["oh no"]


def test_the_bytes_of_a_pull_are_not_told_one_by_one() -> None:
    lines: list[str] = []
    stream = _said(
        {"status": "Pulling from library/postgres"},
        {"status": "Downloading", "progressDetail": {"current": 1, "total": 9}},
        {"status": "Pull complete", "progressDetail": {}},
    )
    follow([stream], lines.append)
    assert lines == ["Pulling from library/postgres", "Pull complete"]
