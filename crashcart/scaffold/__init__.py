"""`crashcart init`: a small project that works, to be changed into one's own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from crashcart.model.errors import UsageError

TEMPLATE = Path(__file__).parent / "template"
"""A project as it is run; nothing in it is a placeholder but the name below."""
NAME = "myshop"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


def init(folder: Path, name: str | None = None) -> tuple[Path, ...]:
    """Write the template into `folder`, which is made; what was written, relative to it, in order.

    Raises:
        UsageError: there is something in that folder already, it can't be written, or the name won't do.
    """
    name = name or _as_name(folder.resolve().name)
    if not _NAME.fullmatch(name):
        what = f"{name!r} is not a name"
        raise UsageError(what, remedy="small letters, digits and dashes, a letter first: --name myshop")
    try:
        if folder.exists() and any(folder.iterdir()):
            raise UsageError("there is something in it already", where=str(folder), remedy="name a new folder")
        return tuple(_write(path, folder, name) for path in _files())
    except OSError as problem:
        raise UsageError(f"it can't be written: {problem.strerror}", where=str(folder)) from problem


def _as_name(text: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-").lstrip("0123456789-")
    return name[:40] or NAME


def _files() -> list[Path]:
    return sorted(path for path in TEMPLATE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _write(path: Path, folder: Path, name: str) -> Path:
    relative = path.relative_to(TEMPLATE)
    # a file whose name begins with a dot would be left out by tools that pack and look
    relative = relative.with_name(".gitignore") if relative.name == "gitignore" else relative
    target = folder / relative.with_name(relative.name.replace(NAME, name))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(path.read_text(encoding="utf-8").replace(NAME, name), encoding="utf-8")
    shutil.copymode(path, target)
    return target.relative_to(folder)
