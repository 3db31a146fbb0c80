"""The storefront counts every answer as a good one."""

from __future__ import annotations

from stack.kit.app import serve
from stack.kit.metrics import RequestMetrics
from stack.storefront.app import build
from tests.defects.planting import put

_record = RequestMetrics.record


def _all_well(self: RequestMetrics, status: int, seconds: float) -> None:
    _record(self, 200, seconds)


def alter() -> None:
    put(RequestMetrics, "record", _all_well)


if __name__ == "__main__":
    alter()
    serve(build())
