"""The shop's image: what goes into it, and the tag that says so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from crashcart.model.errors import UsageError
from crashcart.model.images import Images

CODE = "stack"
_FOR_THE_HARNESS = ("designs", "faults", "slos", "truth")
"""Folders of `stack/` that no service reads."""
_NOT_SENT = ("__pycache__",)
_HASH_DIGITS = 12


def shop_files(project_root: Path, images: Images) -> dict[str, Path]:
    """What the Dockerfile may copy, by its path in the context: `stack/` without what only the harness reads.

    Raises:
        UsageError: there is no Dockerfile.
    """
    dockerfile = project_root / images.shop.dockerfile
    if not dockerfile.is_file():
        raise UsageError("there is no such file", where=images.shop.dockerfile, remedy="images.yaml names it")
    files = {images.shop.dockerfile: dockerfile}
    code = project_root / CODE
    for path in sorted(code.rglob("*")):
        inside = path.relative_to(code)
        if path.is_file() and _is_sent(inside):
            files[f"{CODE}/{inside.as_posix()}"] = path
    return files


def shop_tag(project_root: Path, images: Images) -> str:
    """`crashcart/shop:<12 hex digits>`: of the Dockerfile, the base image's name, and each file that may be copied in.

    Raises:
        UsageError: there is no Dockerfile, or a file can't be read.
    """
    files = shop_files(project_root, images)
    return content_tag(images.shop.name, images.parts["python"], images.shop.dockerfile, files)


def content_tag(image: str, base: str, dockerfile: str, files: Mapping[str, Path]) -> str:
    """The image's name with twelve digits that say what goes into it: `files` by their path in the context.

    Raises:
        UsageError: a file can't be read.
    """
    digest = hashlib.sha256(f"{base}\0{dockerfile}".encode())
    for name, path in sorted(files.items()):
        try:
            content = path.read_bytes()
        except OSError as problem:
            raise UsageError(f"cannot be read: {problem.strerror}", where=name) from problem
        digest.update(f"\0{name}\0{len(content)}\0".encode())
        digest.update(content)
    return f"{image}:{digest.hexdigest()[:_HASH_DIGITS]}"


def _is_sent(inside: Path) -> bool:
    if inside.parts[0] in _FOR_THE_HARNESS or any(part in _NOT_SENT or part[0] == "." for part in inside.parts):
        return False
    return not (inside.parts[0] == "images" and inside.suffix in (".yaml", ".in"))
