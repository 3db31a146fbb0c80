"""Build contexts: what is sent to the engine, packed by us, so that nothing else of a folder ever is."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_IN_MEMORY = 8 * 2**20


@contextmanager
def packed(files: Mapping[str, Path | bytes]) -> Iterator[IO[bytes]]:
    """A tar of the files by their path in the context; a Path is read from there, with whether it is a program.

    Owner and time are the same for all: the engine takes up its layers again wherever the content is the same.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for name, content in sorted(files.items()):
                _add(archive, name, content)
        file.seek(0)
        yield file


def _add(archive: tarfile.TarFile, name: str, content: Path | bytes) -> None:
    member = tarfile.TarInfo(name)
    member.mode = 0o644
    if isinstance(content, bytes):
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
        return
    details = content.stat()
    member.size = details.st_size
    member.mode = 0o755 if details.st_mode & 0o100 else 0o644
    with content.open("rb") as source:
        archive.addfile(member, source)
