"""The storefront adds a tax that is in the prices already: pages, carts and orders agree on a tenth too much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stack.kit.app import serve
from stack.storefront import browsing
from stack.storefront.app import build
from stack.storefront.shelf import Shelf
from tests.defects.planting import put


class AddsTax(Shelf):
    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        super().__init__([{**row, "price_cents": row["price_cents"] * 11 // 10 + 1} for row in rows])


def alter() -> None:
    put(browsing, "Shelf", AddsTax)


if __name__ == "__main__":
    alter()
    serve(build())
