"""Report files appear whole or not at all: a reader never meets half a page."""

from __future__ import annotations

from pathlib import Path

from crashcart.model.errors import UsageError


def write_text(path: Path, text: str) -> Path:
    """UTF-8 with plain newlines, by way of a file beside it. UsageError where the folder can't be written."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
    except OSError as error:
        remedy = "choose a folder that can be written, or make room"
        raise UsageError(f"cannot write: {error.strerror}", where=str(path), remedy=remedy) from error
    return path
