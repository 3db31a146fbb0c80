"""The storefront asks for the stock once, when it starts, and shows that for ever."""

from __future__ import annotations

import asyncio

from stack.kit.app import serve
from stack.storefront.app import build
from stack.storefront.browsing import Browsing
from tests.defects.planting import put


async def _never(self: Browsing) -> None:
    await asyncio.Event().wait()


def alter() -> None:
    put(Browsing, "keep_fresh", _never)


if __name__ == "__main__":
    alter()
    serve(build())
