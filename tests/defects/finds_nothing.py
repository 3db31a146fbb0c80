"""The storefront's index is empty after a deployment: every search finds nothing, and says so with 200."""

from __future__ import annotations

from collections.abc import Sequence

from stack.kit.app import serve
from stack.storefront.app import build
from stack.storefront.shelf import Shelf
from tests.defects.planting import put


def _find(_self: Shelf, _words: Sequence[str]) -> list[int]:
    return []


def alter() -> None:
    put(Shelf, "_find", _find)


if __name__ == "__main__":
    alter()
    serve(build())
