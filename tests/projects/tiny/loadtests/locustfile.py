"""Shoppers of the tiny shop: one page each, and half of them order one thing."""

from __future__ import annotations

from pathlib import Path

from crashcart.loadkit.assignment import Settings
from crashcart.loadkit.locusts import OpenLoopUser
from crashcart.loadkit.plain import PlainBehaviour, PlainShop
from crashcart.model.load import LoadProgram

SHOP = PlainShop(
    order=lambda _shopper: {"lines": [["thing", 1]]}, order_id=lambda answer: str(answer["order_id"]), total_cents=100
)


class TinyShopper(OpenLoopUser):
    """The tiny shop's shoppers, all of them."""

    load_file = Path(__file__).with_name("load.yaml")

    @classmethod
    def behaviour(cls, program: LoadProgram, settings: Settings) -> PlainBehaviour:
        """Always the same."""
        return PlainBehaviour(SHOP)
