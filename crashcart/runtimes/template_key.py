"""When a database's template may be used again: its key names everything that it was made from.

The rule for what belongs to it: the text of each SQL file; of each command its words, every file of the project that a
word names, and, of `-m package.module`, every Python, SQL and data file below the project's folder `package`. That is
more than the command reads: a template made once too often costs a second, one that is stale costs an evening.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from crashcart.model.design import Init
from crashcart.model.errors import BadFile

_MADE_LIKE = "3"
"""Raise it when templates are made in another way."""
_DATA = frozenset({".csv", ".json", ".jsonl", ".py", ".sql", ".toml", ".tsv", ".txt"})


def template_key(init: Init, project_dir: Path, *, made_by: Iterable[str]) -> str:
    """32 hexadecimal digits. `made_by`: whatever else decides what comes out (server version, account).

    Raises:
        BadFile: an SQL file that does not exist or can't be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for word in (_MADE_LIKE, *made_by):
        _add(digest, word.encode())
    for file in init.sql:
        _add(digest, file.encode())
        _add(digest, _text(project_dir, file))
    for command in init.commands:
        _add(digest, "\0".join(command).encode())
        for path in sorted(set(_files_of(command, project_dir))):
            _add(digest, str(path.relative_to(project_dir)).encode())
            _add(digest, path.read_bytes())
    return digest.hexdigest()


def _add(digest: hashlib.blake2b, data: bytes) -> None:
    # the length first: two files never read as one
    digest.update(len(data).to_bytes(8, "big"))
    digest.update(data)


def _text(project_dir: Path, file: str) -> bytes:
    try:
        return (project_dir / file).read_bytes()
    except OSError as problem:
        raise BadFile(
            f"can not be read: {problem.strerror}", file=file, line=None, remedy="see `init` in the design"
        ) from problem


def _files_of(command: tuple[str, ...], project_dir: Path) -> Iterator[Path]:
    for index, word in enumerate(command):
        if index and command[index - 1] == "-m":
            yield from _package(project_dir, word.partition(".")[0])
        elif word and (project_dir / word).is_file():
            yield project_dir / word


def _package(project_dir: Path, name: str) -> Iterator[Path]:
    single = project_dir / f"{name}.py"
    if single.is_file():
        yield single
    for path in (project_dir / name).rglob("*"):
        if path.suffix in _DATA and "__pycache__" not in path.parts and path.is_file():
            yield path
