"""Payments never leaves a processor alone, however often it gave no answer: the breaker does not open."""

from __future__ import annotations

from stack.kit.app import serve
from stack.kit.breaker import Breaker
from stack.payments.app import build
from tests.defects.planting import put


def alter() -> None:
    put(Breaker, "_should_open", lambda self: False)


if __name__ == "__main__":
    alter()
    serve(build())
