"""Whose order failed is written to, once, whatever is killed in between; nobody else is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from stack.kit.references import for_key, order_id_for
from tests.contract.shop_money.books import violations, wait_settled
from tests.contract.shop_money.servers import call, until
from tests.contract.shop_money.test_orders import place, purchase

if TYPE_CHECKING:
    from tests.contract.shop_money.rig import Rig


def mails(rig: Rig, key: str) -> list[str]:
    order_id = str(order_id_for(key))
    return [mail["template"] for mail in rig.ledger("mail") if mail["order_id"] == order_id]


def payload(rig: Rig, key: str) -> dict[str, Any]:
    query = f"select payload::text from outbox where key = '{order_id_for(key)}:failed'"
    document: dict[str, Any] = json.loads(rig.sql("orders-db", query)[0]["payload"])
    return document


def close(rig: Rig, *keys: str, why: str = "cart-unavailable") -> int:
    orders = [
        {"key": key, "total_cents": 2500, "network": "visa", "email": f"{key}@shop.example", "why": why, "cohort": None}
        for key in keys
    ]
    status, document = call(rig.port("checkout"), "POST", "/orders/unplaced", {"orders": orders})
    assert status == 200, document
    closed: int = document["closed"]
    return closed


def test_who_leaves_after_a_failure_is_written_to_with_all_they_need(rig: Rig) -> None:
    wanted = purchase("left")
    rig.cut("checkout.payments")
    assert place(rig, wanted)[0] == 503
    wait_settled(rig)
    assert mails(rig, "left") == ["order-failed"]
    mail = payload(rig, "left")
    assert mail["to"] == "left@shopper.example"
    assert mail["reference"] == for_key("left")
    assert mail["money"] == "You were not charged."
    assert mail["happened"]
    assert "order again" in mail["go_on"]


def test_who_was_charged_and_could_not_be_served_is_told_that_it_was_given_back(rig: Rig) -> None:
    wanted = purchase("late-charge")
    rig.hang("checkout.payments")  # which charges, and is not heard
    assert place(rig, wanted)[0] == 504
    rig.sql("orders-db", "update orders set state = 'cancelling', due_at = now() where idempotency_key = 'late-charge'")
    rig.mend("checkout.payments")
    wait_settled(rig)
    assert mails(rig, "late-charge") == ["order-failed"]
    assert payload(rig, "late-charge")["money"] == "What you were charged has been given back."
    assert violations(rig, [wanted]) == []


def test_no_mail_follows_what_was_told_at_once_or_came_through(rig: Rig) -> None:
    for key, behaviour, sku, status in (
        ("declined-now", {"decline_share": 1}, "G00001", 402),
        ("sold-out-now", {}, "SOLD-OUT", 409),
        ("fine", {}, "G00001", 201),
    ):
        rig.behave("psp-a", **behaviour)
        assert place(rig, purchase(key, sku=sku))[0] == status
    wait_settled(rig)
    assert mails(rig, "declined-now") == mails(rig, "sold-out-now") == []
    assert mails(rig, "fine") == ["order-confirmation"]


def test_who_was_told_we_do_not_know_and_is_then_declined_hears_of_it(rig: Rig) -> None:
    wanted = purchase("declined-later")
    rig.behave("psp-a", decline_share=1)
    rig.hang("checkout.payments")
    assert place(rig, wanted)[0] == 504
    rig.mend("checkout.payments")
    wait_settled(rig)
    state = rig.sql("orders-db", "select state from orders where idempotency_key = 'declined-later'")[0]["state"]
    assert (state, mails(rig, "declined-later")) == ("rejected_declined", ["order-failed"])


def test_the_mail_comes_once_although_checkout_is_killed_and_the_provider_forgets_to_answer(rig: Rig) -> None:
    wanted = purchase("killed-between")
    rig.behave("mail", fail_share=1, answer="after")  # it sends, and then says that it failed
    rig.cut("checkout.payments")
    assert place(rig, wanted)[0] == 503
    until("it was sent, unknown to checkout", lambda: mails(rig, "killed-between") == ["order-failed"])
    rig.kill_and_restart("checkout")
    rig.behave("mail")
    rig.mend("checkout.payments")
    wait_settled(rig)
    assert mails(rig, "killed-between") == ["order-failed"]


def test_an_order_that_never_came_this_far_is_closed_and_its_shopper_written_to_once(rig: Rig) -> None:
    assert close(rig, "unplaced-1", "unplaced-2") == 2
    assert close(rig, "unplaced-2", "unplaced-1") == 0
    wait_settled(rig)
    assert mails(rig, "unplaced-1") == mails(rig, "unplaced-2") == ["order-failed"]
    assert payload(rig, "unplaced-1")["to"] == "unplaced-1@shop.example"
    assert "cart" in payload(rig, "unplaced-1")["happened"]
    straggler = purchase("unplaced-1")
    status, document = place(rig, straggler)
    assert (status, document["type"], document["safe_to_retry"]) == (409, "/problems/order-failed", False)
    assert mails(rig, "unplaced-1") == ["order-failed"]
    assert violations(rig, [straggler]) == []


def test_an_order_that_came_through_after_all_is_left_alone(rig: Rig) -> None:
    wanted = purchase("made-it")
    assert place(rig, wanted)[0] == 201
    assert close(rig, "made-it") == 0
    wait_settled(rig)
    assert mails(rig, "made-it") == ["order-confirmation"]
    assert violations(rig, [wanted]) == []


def test_nonsense_about_unplaced_orders_is_refused(rig: Rig) -> None:
    wrongs: tuple[dict[str, Any], ...] = ({}, {"orders": []}, {"orders": [{"key": "x"}]}, {"orders": [7]})
    for body in wrongs:
        assert call(rig.port("checkout"), "POST", "/orders/unplaced", body)[0] == 400
