"""The storefront's status page says that all is well, whatever happens."""

from __future__ import annotations

from stack.kit.app import serve
from stack.storefront import truth
from stack.storefront.app import build
from tests.defects.planting import put


def alter() -> None:
    put(truth.Truth, "components", lambda self: dict.fromkeys(truth.COMPONENTS, truth.UP))
    put(truth.Pulse, "state", lambda self: truth.UP)


if __name__ == "__main__":
    alter()
    serve(build())
