"""Text of a project's files, read within bounds: regular files, UTF-8, nothing in it that nobody sees."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from crashcart.model.errors import BadFile

MAX_BYTES = 1 << 18
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
"""Control characters, line ends that no editor shows as such, and what turns the direction of writing round: a text
with these says something else than one reads."""
_REMEDY = "take it out, or save the file as UTF-8: people and crashcart are to read the same"


def read_text(path: Path, shown_as: str) -> str:
    """All of a file, line ends as they are read everywhere. BadFile, with a line where there is one to name."""
    data = _read(path, shown_as)
    if len(data) > MAX_BYTES:
        raise BadFile(f"the file is over {MAX_BYTES >> 10} KiB; nothing of ours is", file=shown_as, line=None)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"is not UTF-8 text: {error.reason} at byte {error.start}"
        raise BadFile(what, file=shown_as, line=line, remedy="save it as UTF-8") from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    refuse_unseen(text, shown_as, 1, "it")
    return text


def refuse_unseen(text: str, file: str, line: int, what: str) -> None:
    """BadFile for characters that nobody sees. `line` is where the text begins, `what` what it is."""
    found = _UNSEEN.search(text)
    if found:
        line += text.count("\n", 0, found.start())
        raise BadFile(f"{what} has the character {found[0]!a} in it", file=file, line=line, remedy=_REMEDY)


def _read(path: Path, shown_as: str) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for, a device read without an end
            raise BadFile("is no regular file", file=shown_as, line=None, remedy="put a text file in its place")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadFile(f"cannot be read: {error.strerror}", file=shown_as, line=None) from error
