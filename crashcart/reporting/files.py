"""Report files appear whole or not at all: a reader never meets half a page."""

from __future__ import annotations

import contextlib
from pathlib import Path

from crashcart.model.errors import UsageError


class CannotWrite(UsageError):
    """No room, or a folder that can't be written. What stood there before still does."""


def write_text(path: Path, text: str) -> Path:
    """UTF-8 with plain newlines, by way of a file beside it. CannotWrite says why it could not be."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        # made anew: in a folder that somebody else packed, that name may be a link to a file of the reader's own
        with partial.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        remedy = "choose a folder that can be written, or make room"
        raise CannotWrite(f"cannot write: {error.strerror}", where=str(path), remedy=remedy) from error
    return path
