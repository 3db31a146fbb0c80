"""What the engine says while it builds or pulls: a stream of small objects, some of which are errors."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator

LAST_LINES = 12
# names of layers, and of the containers in which they are made; the colours of standard error
_BOOKKEEPING = (" --->", "Removing intermediate container ")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


FULL = "the engine's disk is full"
FULL_REMEDY = "`docker system df` says what takes it, `docker image prune` gives some of it back"


def is_full_disk(text: str) -> bool:
    """Whether that is how the engine, or a program in it, says that there is no room."""
    return "no space left on device" in text.lower()


class EngineSaid(Exception):
    """The engine gave up; the message is its own, `last_lines` what the step printed before."""

    def __init__(self, message: str, step: str = "", last_lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.step = step
        self.last_lines = last_lines


def follow(stream: Iterable[bytes | str], progress: Callable[[str], None]) -> str:
    """Hand on each line that says something, to the end. Returns the id of the image that was built, if one was.

    Raises:
        EngineSaid: the stream holds an error.
    """
    step, image = "", ""
    last: deque[str] = deque(maxlen=LAST_LINES)
    for said in _objects(stream):
        if isinstance(said.get("error"), str):
            raise EngineSaid(str(said["error"]).strip(), step, tuple(last))
        aux = said.get("aux")
        if isinstance(aux, dict) and isinstance(aux.get("ID"), str):
            image = aux["ID"]
        for line in _lines(said):
            if line.startswith("Step "):
                step = line
                last.clear()
            else:
                last.append(line)
            progress(line)
    return image


def _objects(stream: Iterable[bytes | str]) -> Iterator[dict[str, object]]:
    """One JSON object a line, however the stream is cut into pieces."""
    rest = b""
    for piece in stream:
        rest += piece if isinstance(piece, bytes) else piece.encode()
        *whole, rest = rest.split(b"\n")
        yield from (_object(line) for line in whole if line.strip())
    if rest.strip():
        yield _object(rest)


def _object(line: bytes) -> dict[str, object]:
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise EngineSaid(f"the engine broke off in the middle of {line[:60].decode(errors='replace')!r}")
    return said


def _lines(said: dict[str, object]) -> Iterator[str]:
    text = said.get("stream")
    if not isinstance(text, str):
        status = said.get("status")
        # a layer's bytes are told many times a second: the bars of a pull are not for us
        text = status if isinstance(status, str) and not said.get("progressDetail") else ""
    for line in _COLOURS.sub("", text).splitlines():
        if line.strip() and not line.startswith(_BOOKKEEPING):
            yield line.rstrip()
