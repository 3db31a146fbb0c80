"""The per-user cache: what was made stays there, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from crashcart.model.errors import UsageError

_PARTIAL = ".partial-"


def cache_dir() -> Path:
    """Where made programs live: `$XDG_CACHE_HOME/crashcart`, by default `~/.cache/crashcart`. It may not exist yet."""
    return Path(platformdirs.user_cache_path("crashcart"))


def writable_cache_dir() -> Path:
    """The same, made if need be.

    Raises:
        UsageError: it can't be made or written.
    """
    folder = cache_dir()
    remedy = "set XDG_CACHE_HOME to a folder that you can write"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    except OSError as problem:
        raise UsageError(
            f"the cache folder can not be made: {problem.strerror}", where=str(folder), remedy=remedy
        ) from problem
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError("the cache folder can not be written", where=str(folder), remedy=remedy)
    return folder


@contextmanager
def workshop(parent: Path) -> Iterator[Path]:
    """A scratch folder in `parent`: on its file system, so that a result can be renamed out. Removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=parent))
    try:
        yield folder
    finally:
        remove_tree(folder)


def remove_leftovers(parent: Path) -> None:
    """Scratch folders of a process that was killed. Only the holder of the set-up lock may call this."""
    for folder in parent.glob(f"{_PARTIAL}*"):
        remove_tree(folder)


def remove_tree(folder: Path) -> None:
    """Remove a folder with everything in it, read-only parts (Go's module cache) too. What can't be removed stays."""
    if folder.is_symlink():
        folder.unlink(missing_ok=True)
        return
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def move_in(made: Path, place: Path) -> Path:
    """Put what was made into its place in one step, replacing what was there. One file system. Returns `place`."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if made.is_dir() and place.exists():
        remove_tree(place)
    made.replace(place)
    return place
