"""Payments asks the other processor at once where the first gave no answer, without proof that it took nothing."""

from __future__ import annotations

import os

from stack.kit.app import serve
from stack.payments import app


def alter() -> None:
    os.environ["FAILOVER"] = "blind"


if __name__ == "__main__":
    alter()
    serve(app.build())
