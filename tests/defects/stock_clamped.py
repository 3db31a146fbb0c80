"""Inventory sells whatever is asked for, and lets no number on the shelf fall below zero."""

from __future__ import annotations

from stack.inventory import statements
from stack.inventory.app import build
from stack.kit.app import serve
from tests.defects.planting import put, rewritten


def alter() -> None:
    never_short = rewritten(
        statements.HOLD, "WHERE coalesce(locked.on_hand, 0) < asked.quantity", "WHERE asked.quantity < 0"
    )
    clamped = rewritten(
        never_short, "SET on_hand = p.on_hand - asked.quantity", "SET on_hand = greatest(0, p.on_hand - asked.quantity)"
    )
    put(statements, "HOLD", clamped)


if __name__ == "__main__":
    alter()
    serve(build())
