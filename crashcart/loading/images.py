"""`stack/images/images.yaml` → Images, with what the environment puts in the place of single parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from crashcart.loading.decode import decode
from crashcart.loading.experiments import check_head
from crashcart.loading.project import Project
from crashcart.loading.yamltree import Tree, read_tree
from crashcart.model.errors import UsageError
from crashcart.model.hints import did_you_mean
from crashcart.model.images import PARTS, Images

FILE = "stack/images/images.yaml"
FILE_VARIABLE = "CRASHCART_IMAGES"
"""Names a file whose parts go before the project's own."""
PART_VARIABLE = "CRASHCART_IMAGE_"
"""With a part's name after it, an image that goes before both."""

_NAME = re.compile(r"(?:[\w.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*", re.ASCII)
_REFERENCE = re.compile(rf"{_NAME.pattern}(?::[\w][\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?", re.ASCII)
_WHOLE = "such as registry.example.com/postgres:18, with a tag or a @sha256 digest"


class _Replacements(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What CRASHCART_IMAGES names: some of the parts."""

    parts: dict[str, str]


def load_images(project: Project, environment: Mapping[str, str]) -> Images:
    """The project's images. `environment` such as `os.environ`.

    Raises:
        BadFile: the project's file or the one in CRASHCART_IMAGES is wrong, at a line.
        UsageError: the project has no such file, or a CRASHCART_IMAGE_… names no part or no image.
    """
    path = project.root / FILE
    if not path.is_file():
        remedy = f"write {FILE}: docs/61-images.md says what is in it"
        raise UsageError(f"this project says of no images what its containers are: there is no {FILE}", remedy=remedy)
    tree = _body(read_tree(path, project.shown(path)))
    images = decode(tree, Images)
    _check_shop(tree, images, project.root)
    _check_parts(tree, images.parts)
    for part in PARTS:
        if part not in images.parts:
            raise tree.error(("parts",), f"parts.{part} is missing", f"write {part}: and an image {_WHOLE}")
    parts = {**images.parts, **_from_file(environment), **_from_variables(environment)}
    return msgspec.structs.replace(images, parts=parts)


def variable_of(part: str) -> str:
    """The environment variable that names an image for that part."""
    return f"{PART_VARIABLE}{part.upper()}"


def _body(tree: Tree) -> Tree:
    check_head(tree, "Images")
    return replace(tree, data={key: value for key, value in tree.data.items() if key not in ("apiVersion", "kind")})


def _check_shop(tree: Tree, images: Images, root: Path) -> None:
    shop = images.shop
    if not _NAME.fullmatch(shop.name):
        what = f"shop.name: {shop.name!r} is no image's name"
        raise tree.error(("shop", "name"), what, "such as crashcart/shop, without a tag: that says what went into it")
    dockerfile = root / shop.dockerfile
    if not dockerfile.resolve().is_relative_to(root) or not dockerfile.is_file():
        what = f"shop.dockerfile: there is no {shop.dockerfile} in this project"
        raise tree.error(("shop", "dockerfile"), what, "a path relative to the project's folder")
    if not shop.python:
        raise tree.error(("shop", "python"), "shop.python is empty", "write python: python")


def _check_parts(tree: Tree, parts: Mapping[str, str]) -> None:
    for part, image in parts.items():
        if part not in PARTS:
            raise tree.error(("parts", part), f"unknown part {part!r}", did_you_mean(part, PARTS, "parts"))
        if not _whole(image):
            raise tree.error(("parts", part), f"parts.{part}: {image!r} is not a whole image name", _WHOLE)


def _whole(image: str) -> bool:
    """Whether it says which one: a name alone is another image every week."""
    return bool(_REFERENCE.fullmatch(image)) and ("@" in image or ":" in image.rpartition("/")[2])


def _from_file(environment: Mapping[str, str]) -> dict[str, str]:
    named = environment.get(FILE_VARIABLE, "").strip()
    if not named:
        return {}
    path = Path(named).expanduser()
    if not path.is_file():
        raise UsageError("there is no such file", where=f"{FILE_VARIABLE}={named}", remedy="correct it, or unset it")
    tree = _body(read_tree(path, named))
    replacements = decode(tree, _Replacements)
    _check_parts(tree, replacements.parts)
    return replacements.parts


def _from_variables(environment: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for variable, image in environment.items():
        if not variable.startswith(PART_VARIABLE) or not image.strip():
            continue
        part = variable.removeprefix(PART_VARIABLE).lower()
        if part not in PARTS:
            remedy = did_you_mean(variable, [variable_of(part) for part in PARTS], "variables")
            raise UsageError("there is no such part", where=variable, remedy=remedy)
        if not _whole(image.strip()):
            raise UsageError(f"{image!r} is not a whole image name", where=variable, remedy=_WHOLE)
        found[part] = image.strip()
    return found
