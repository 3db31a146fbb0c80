"""The export of `reference` as it is committed, and `python -m tests.unit.compose.golden`, which renews it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from crashcart.compose import exported_files
from crashcart.loading import open_project

ROOT = Path(__file__).parents[3]
FOLDER = Path(__file__).with_name("golden")
RENEW = "python -m tests.unit.compose.golden"

_TAG = re.compile(r"(crashcart/shop(?:-load)?):[0-9a-f]{12}")
_VERSION = re.compile(r"(image\.version): '?[0-9a-f]{12}'?$", re.MULTILINE)
_RANDOM = ".env"


def generated() -> dict[str, str]:
    """What an export makes of the design: not what it copies, nor what is drawn anew each time.

    Tags of images change with each file of the shop, and are told as `TAG`. Of a schema there is the head alone.
    """
    files = exported_files(open_project(ROOT), "reference", "compose.yaml", {})
    return {
        name: _VERSION.sub(r"\1: TAG", _TAG.sub(r"\1:TAG", _head(name, content)))
        for name, content in files.items()
        if isinstance(content, str) and name != _RANDOM
    }


def committed() -> dict[str, str]:
    """The files below golden/."""
    paths = (path for path in FOLDER.rglob("*") if path.is_file())
    return {path.relative_to(FOLDER).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def renew() -> None:
    """Write golden/ again."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name, text in generated().items():
        place = FOLDER / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def _head(name: str, text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:2]) if name.startswith("databases/") else text


if __name__ == "__main__":
    renew()
