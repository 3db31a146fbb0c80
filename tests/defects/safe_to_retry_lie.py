"""Checkout says "trying again is safe", and calls the same order another one a second later: the time is part of it."""

from __future__ import annotations

from time import monotonic

from stack.checkout import orders
from stack.checkout.app import build
from stack.kit.app import serve
from tests.defects.planting import put

_fingerprint = orders._fingerprint


def _of_this_second(*parts: str) -> str:
    return _fingerprint(*parts, str(int(monotonic())))


def alter() -> None:
    put(orders, "_fingerprint", _of_this_second)


if __name__ == "__main__":
    alter()
    serve(build())
