"""The storefront waits a minute for whomever it asks, although nobody waits for it that long."""

from __future__ import annotations

from stack.kit import http
from stack.kit.app import serve
from stack.storefront.app import build
from tests.defects.planting import put


def alter() -> None:
    put(http, "_deadline_s", lambda header: 60.0)


if __name__ == "__main__":
    alter()
    serve(build())
