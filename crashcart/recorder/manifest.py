"""The manifest: what belongs to a recording, with counts and hashes. Written last: without it the rest is cut short."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from crashcart.model.errors import BadFile, UsageError
from crashcart.model.recording import FILES, RECORDING_FORMAT, FileEntry, Manifest

Ended = Literal["completed", "gate-closed", "guardrail", "interrupted", "broken"]

_MADE_LATER = {"manifest.json", "verdict.json", "report.html", "report.md", "junit.xml", "failed-orders.csv"}
_LOGS = "logs/"
_DATA = (".parquet", ".jsonl", "load-summary.json")
_GROWS = FILES["faultlog"]
"""`crashcart recover` goes on writing there: what was recorded is its beginning."""


def list_files(directory: Path, rows: Mapping[str, int]) -> tuple[FileEntry, ...]:
    """Every file that was recorded, sorted by path. `rows` where they are known."""
    return tuple(_entry(directory, path, rows.get(path)) for path in sorted(_recorded(directory)))


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """All or nothing, and on disk."""
    path, unfinished = directory / FILES["manifest"], directory / ".manifest.json"
    with unfinished.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def read_manifest(directory: Path) -> Manifest | None:
    """None where there is none. UsageError where it is of a newer crashcart, BadFile where it is no manifest."""
    path = directory / FILES["manifest"]
    if not path.exists():
        return None
    try:
        head = msgspec.json.decode(path.read_bytes(), type=_Head)
        _check_format(path, head.format)
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadFile(f"this is no manifest: {error}", file=path, line=None) from error


def verify(directory: Path) -> Manifest:
    """Make sure that a recording is whole: every file there, of the size and content that were recorded, and no other.

    Raises BadFile for one that is cut short or was altered, UsageError for one of a newer crashcart.
    Logs may be thrown away.
    """
    manifest = read_manifest(directory)
    if manifest is None:
        raise BadFile(
            "the recording was cut short: it has no manifest.json",
            file=directory,
            line=None,
            remedy="the run did not come to its end; run it again",
        )
    path = directory / FILES["manifest"]
    if not path.read_bytes().endswith(b"\n"):
        raise BadFile("this is no whole manifest: its last line has no end", file=path, line=None)
    for entry in manifest.files:
        _check(directory, entry)
    _nothing_added(directory, {entry.path for entry in manifest.files})
    return manifest


class _Head(msgspec.Struct, frozen=True):
    format: str = ""


def _check_format(path: Path, found: str) -> None:
    if found == RECORDING_FORMAT:
        return
    known = re.fullmatch(r"crashcart/recording/v(\d+)", found)
    if known:
        raise UsageError(
            f"the recording's format is {found}, this crashcart reads {RECORDING_FORMAT}",
            where=str(path),
            remedy="use the crashcart that recorded it, or a newer one",
        )
    raise BadFile(f"format: {found!r} is not a recording's", file=path, line=None)


def _check(directory: Path, entry: FileEntry) -> None:
    path = directory / entry.path
    if not path.is_file():
        if entry.path.startswith(_LOGS):
            return
        raise BadFile("a file of the recording is missing", file=path, line=None)
    size = path.stat().st_size
    whole = size == entry.bytes or (entry.path == _GROWS and size > entry.bytes)
    if not whole or _sha256(path, entry.bytes) != entry.sha256:
        raise BadFile(
            "a file of the recording is not what was recorded (its size or hash differs)",
            file=path,
            line=None,
            remedy="judge an unaltered copy of the recording",
        )


def _nothing_added(directory: Path, known: Collection[str]) -> None:
    """What could not be recorded is missing for a reason: of another run it proves nothing, and would be judged by."""
    for relative in sorted(_recorded(directory)):
        judged_by = relative.endswith(_DATA) and not relative.startswith(_LOGS) and relative != _GROWS
        if judged_by and relative not in known:
            raise BadFile(
                "a file lies in the recording that was not recorded",
                file=directory / relative,
                line=None,
                remedy="take it away, or judge an unaltered copy of the recording",
            )


def _recorded(directory: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            relative = (Path(folder) / name).relative_to(directory).as_posix()
            if relative not in _MADE_LATER and not name.startswith("."):
                yield relative


def _entry(directory: Path, relative: str, rows: int | None) -> FileEntry:
    path = directory / relative
    if rows is None and relative.endswith(".jsonl"):
        with path.open("rb") as lines:
            rows = sum(1 for _ in lines)
    size = path.stat().st_size
    return FileEntry(relative, size, _sha256(path, size), rows)


def _sha256(path: Path, size: int) -> str:
    """Of the first `size` bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, 1 << 20))):
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest()
