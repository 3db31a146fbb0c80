"""The storefront leaves checkout alone for good once it gave no answer: the breaker does not close."""

from __future__ import annotations

from stack.kit.app import serve
from stack.kit.breaker import Breaker
from stack.storefront.app import build
from tests.defects.planting import put


def alter() -> None:
    put(Breaker, "_close", lambda self: None)


if __name__ == "__main__":
    alter()
    serve(build())
