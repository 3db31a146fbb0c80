"""What was sold out a moment ago is sold out, for a moment."""

from __future__ import annotations

from typing import Any

from stack.checkout.soldout import SoldOut


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def line(sku: str, quantity: int = 1) -> dict[str, Any]:
    return {"sku": sku, "quantity": quantity}


def test_who_wants_as_much_is_told_the_same_for_half_a_second() -> None:
    clock = Clock()
    sold_out = SoldOut(clock=clock)
    sold_out.heard(["deal"], [line("deal", 2), line("lamp")])
    assert sold_out.known([line("lamp"), line("deal", 2)]) == ("deal",)
    assert sold_out.known([line("deal", 3)]) == ("deal",)
    clock.now_s = 0.51
    assert sold_out.known([line("deal", 2)]) == ()


def test_who_wants_less_or_something_else_has_to_be_asked_about() -> None:
    sold_out = SoldOut(clock=Clock())
    sold_out.heard(["deal"], [line("deal", 2)])
    assert sold_out.known([line("deal", 1)]) == ()
    assert sold_out.known([line("lamp", 9)]) == ()
