"""Writing an export: a folder of its own, in which an earlier export is replaced and nobody else's file is touched."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from crashcart.model.errors import UsageError

LIST = ".crashcart-export"
"""In the folder: what an export has written there, so that the next one can replace it."""
_PRIVATE = ".env"


def write_export(folder: Path, files: Mapping[str, str | Path], shown: str) -> None:
    """Write texts and copies of files by their path in the folder, which is made where there is none.

    `shown`: how the folder is called in an error. What containers mount can be read by whoever they run as.

    Raises:
        UsageError: the folder holds other files than an earlier export's, or can't be written.
    """
    try:
        before = _written_before(folder)
        others = sorted(_found(folder) - before)
        if others:
            what = f"there are other files here, such as {others[0]}"
            raise UsageError(what, where=shown, remedy="name a folder of its own with --out FOLDER/compose.yaml")
        for path in before:
            (folder / path).unlink(missing_ok=True)
        for empty in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
            empty.rmdir()
        _make(folder, folder.parent)
        (folder / LIST).write_text("".join(f"{path}\n" for path in sorted(files)), encoding="utf-8")
        for path, content in files.items():
            _write(folder, path, content)
    except OSError as problem:
        what = f"can't be written: {problem.strerror or problem}"
        raise UsageError(what, where=shown, remedy="name another with --out FOLDER/compose.yaml") from problem


def _found(folder: Path) -> set[str]:
    if not folder.exists():
        return set()
    if not folder.is_dir():
        raise UsageError("is no folder", where=str(folder), remedy="name another with --out FOLDER/compose.yaml")
    every = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return {path.relative_to(folder).as_posix() for path in every}


def _written_before(folder: Path) -> set[str]:
    """The list itself among them; paths that lead out of the folder are not ours."""
    try:
        listed = (folder / LIST).read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return set()
    return {LIST, *(path for path in listed if path and ".." not in Path(path).parts and not path.startswith("/"))}


def _write(folder: Path, path: str, content: str | Path) -> None:
    place = folder / path
    _make(place.parent, folder)
    if isinstance(content, Path):
        shutil.copyfile(content, place)
    else:
        place.touch(mode=0o600)
        place.write_text(content, encoding="utf-8")
    place.chmod(0o600 if path == _PRIVATE else 0o644)


def _make(folder: Path, above: Path) -> None:
    """Each folder below `above` can be entered by all; those above it are made as usual."""
    folder.mkdir(parents=True, exist_ok=True)
    while folder != above:
        folder.chmod(0o755)
        folder = folder.parent
