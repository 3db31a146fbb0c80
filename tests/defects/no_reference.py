"""Checkout answers a failure without the reference by which anybody could find it again."""

from __future__ import annotations

from stack.checkout.app import build
from stack.kit.app import serve
from stack.kit.problems import Problem
from tests.defects.planting import put

_body = Problem.body


def _without_reference(self: Problem, reference: str) -> bytes:
    return _body(self, "")


def alter() -> None:
    put(Problem, "body", _without_reference)


if __name__ == "__main__":
    alter()
    serve(build())
