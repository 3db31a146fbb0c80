"""What payments says of itself, which the status page repeats: with orders or without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.shop_money.books import violations, wait_settled
from tests.contract.shop_money.servers import call, until
from tests.contract.shop_money.test_orders import place, purchase

if TYPE_CHECKING:
    from tests.contract.shop_money.rig import Rig


def said(rig: Rig) -> str:
    status, document = call(rig.port("checkout"), "GET", "/health/payments")
    assert status == 200
    state: str = document["state"]
    return state


def test_payments_are_down_when_no_processor_takes_a_card_and_up_again_without_any_order(rig: Rig) -> None:
    until("payments are well", lambda: said(rig) == "up", 20)
    rig.cut("payments.psp-a")
    rig.cut("payments.psp-b")
    wanted = [purchase(f"nobody-{number}") for number in range(8)]
    for one in wanted:
        place(rig, one)
    until("payments know", lambda: said(rig) == "down")
    rig.mend("payments.psp-a")
    until("one processor is enough", lambda: said(rig) == "up", 20)
    rig.mend("payments.psp-b")
    wait_settled(rig)
    assert violations(rig, wanted) == []


def test_payments_are_down_without_their_database_or_when_checkout_can_not_reach_them(rig: Rig) -> None:
    until("payments are well", lambda: said(rig) == "up", 20)
    rig.cut("payments.payments-db")
    until("payments know", lambda: said(rig) == "down")
    rig.mend("payments.payments-db")
    until("payments are well again", lambda: said(rig) == "up", 20)
    rig.cut("checkout.payments")
    until("checkout says so", lambda: said(rig) == "down")
    rig.mend("checkout.payments")
    until("payments are well again", lambda: said(rig) == "up", 20)
