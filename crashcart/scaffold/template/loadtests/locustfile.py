"""What shoppers of myshop do: look at one page, and half of them order one thing."""

from __future__ import annotations

from pathlib import Path

from crashcart.loadkit.assignment import Settings
from crashcart.loadkit.locusts import OpenLoopUser
from crashcart.loadkit.plain import PlainBehaviour, PlainShop
from crashcart.model.load import LoadProgram

PRICE_CENTS = 2500
SHOP = PlainShop(
    page_path="/",
    order_path="/orders",
    order=lambda shopper: {"total_cents": PRICE_CENTS, "device": shopper.cohorts["device"]},
    order_id=lambda answer: str(answer["order_id"]),
    total_cents=PRICE_CENTS,
)


class MyShopper(OpenLoopUser):
    """All of them; the profile says how many come."""

    load_file = Path(__file__).with_name("load.yaml")

    @classmethod
    def behaviour(cls, program: LoadProgram, settings: Settings) -> PlainBehaviour:
        """The same for each."""
        return PlainBehaviour(SHOP)
