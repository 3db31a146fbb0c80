"""Checkout makes up a new reference whenever it answers: what the shopper reads to the service desk is in no book."""

from __future__ import annotations

from uuid import uuid4

from stack.checkout import answers, app
from stack.kit.app import Response, serve
from stack.kit.references import for_key
from tests.defects.planting import put

_accepted = answers.accepted


def _made_up(order_id: str, _reference: str, total_cents: int) -> Response:
    return _accepted(order_id, for_key(str(uuid4())), total_cents)


def alter() -> None:
    put(answers, "accepted", _made_up)


if __name__ == "__main__":
    alter()
    serve(app.build())
