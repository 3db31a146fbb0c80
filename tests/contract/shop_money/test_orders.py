"""Orders at checkout's door, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.contract.shop_money.books import violations, wait_settled
from tests.contract.shop_money.servers import call, until
from tests.contract.shop_money.shoppers import Purchase, ask_once

if TYPE_CHECKING:
    from tests.contract.shop_money.rig import Rig


def purchase(key: str, network: str = "visa", sku: str = "G00001", total_cents: int = 2500) -> Purchase:
    return Purchase(key, network, sku, total_cents, double_click=False, tries=1)


def place(rig: Rig, wanted: Purchase) -> tuple[int, Any]:
    ask_once(rig, wanted)
    status, _, document = wanted.answers[-1]
    return status, document


def test_the_same_key_is_the_same_order(rig: Rig) -> None:
    wanted = purchase("same-key")
    first, again = place(rig, wanted), place(rig, wanted)
    assert first == again
    assert first[0] == 201
    assert first[1]["state"] == "accepted"
    shown = call(rig.port("checkout"), "GET", f"/orders/{first[1]['order_id']}")
    assert shown == (200, first[1])
    wait_settled(rig)
    assert violations(rig, [wanted]) == []


def test_a_key_with_another_body_is_refused(rig: Rig) -> None:
    place(rig, purchase("reused-key"))
    status, document = place(rig, purchase("reused-key", total_cents=2600))
    assert (status, document["type"]) == (422, "/problems/idempotency-key-reused")


def test_sold_out_and_declined_are_told_as_often_as_asked_and_cost_nothing(rig: Rig) -> None:
    sold_out, declined = purchase("no-stock", sku="SOLD-OUT"), purchase("no-money")
    rig.behave("psp-a", decline_share=1)
    for _ in range(2):
        status, document = place(rig, sold_out)
        assert (status, document["type"], document["skus"]) == (409, "/problems/sold-out", ["SOLD-OUT"])
        assert (place(rig, declined)[0], declined.answers[-1][1]) == (402, "/problems/declined")
        rig.behave("psp-a")
    wait_settled(rig)
    assert violations(rig, [sold_out, declined]) == []


def test_a_total_that_the_lines_do_not_add_up_to_is_refused(rig: Rig) -> None:
    wanted = purchase("wrong-total").body()
    wanted["total_cents"] += 1
    status, document = call(rig.port("checkout"), "POST", "/orders", wanted, {"Idempotency-Key": "wrong-total"})
    assert (status, document["type"]) == (409, "/problems/price-changed")


def test_nonsense_is_refused_with_what_would_be_right(rig: Rig) -> None:
    right = purchase("nonsense").body()
    wrongs: list[dict[str, Any]] = [{"lines": []}, {"lines": [{"sku": "G1"}]}, {"card": "visa"}, {"email": 7}]
    for wrong in wrongs:
        status, document = call(
            rig.port("checkout"), "POST", "/orders", {**right, **wrong}, {"Idempotency-Key": "nonsense"}
        )
        assert (status, document["type"]) == (400, "/problems/bad-request")
        assert document["detail"]
    assert call(rig.port("checkout"), "POST", "/orders", right)[0] == 400
    assert call(rig.port("checkout"), "GET", "/orders/not-an-id")[0] == 404


def test_an_order_that_failed_before_the_charge_goes_on_with_the_same_key(rig: Rig) -> None:
    wanted = purchase("comes-back")
    rig.cut("checkout.inventory")
    status, document = place(rig, wanted)
    assert (status, document["type"]) == (503, "/problems/inventory-unavailable")
    assert document["safe_to_retry"]
    rig.mend("checkout.inventory")
    # the breaker may need its second; each try keeps the order waiting for the next
    until("the order goes through", lambda: place(rig, wanted)[0] == 201, 10)
    wait_settled(rig)
    assert violations(rig, [wanted]) == []


def test_an_order_nobody_comes_back_for_is_given_up_and_says_so(rig: Rig) -> None:
    wanted = purchase("never-back")
    rig.cut("checkout.payments")
    assert place(rig, wanted)[0] == 503
    wait_settled(rig)
    rig.mend("checkout.payments")
    status, document = place(rig, wanted)
    assert (status, document["type"], document["safe_to_retry"]) == (409, "/problems/order-failed", False)
    assert violations(rig, [wanted]) == []


NO_CONFIRMATION = """
create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
create trigger refuse before update on holds for each row when (new.state = 'confirmed') execute function refuse()
"""
LOST = """
update holds set state = 'expired' where order_id = '{order_id}';
update products set initial = 0, on_hand = 0 where sku = 'LAST';
drop function refuse cascade
"""


def test_an_accepted_order_whose_stock_is_gone_is_refunded_and_its_shopper_told(rig: Rig) -> None:
    wait_settled(rig)
    rig.sql("inventory-db", NO_CONFIRMATION)
    wanted = purchase("gone", sku="LAST")
    order_id = place(rig, wanted)[1]["order_id"]
    rig.sql("inventory-db", LOST.format(order_id=order_id))
    row = f"select state from orders where order_id = '{order_id}'"
    until("the order is refunded", lambda: rig.sql("orders-db", row)[0]["state"] == "cancelled_refunded")
    wait_settled(rig)
    told = [mail["template"] for mail in rig.ledger("mail") if mail["order_id"] == order_id]
    assert told == ["order-confirmation", "order-cancelled"]
    assert [entry["entry"] for entry in rig.ledger("psp-a") if entry["order_id"] == order_id] == ["charge", "refund"]
    assert place(rig, wanted)[1]["type"] == "/problems/order-cancelled"
    wanted.answers.clear()  # it was told yes, and then by mail that it was not to be
    assert violations(rig, [wanted]) == []


def test_hundreds_who_want_what_is_sold_out_are_refused_without_asking_the_stock_each_time(rig: Rig) -> None:
    rig.behave("psp-a")
    wanted = [purchase(f"deal-{number}", sku="SOLD-OUT") for number in range(60)]
    answers = [place(rig, one) for one in wanted]
    assert {(status, document["type"]) for status, document in answers} == {(409, "/problems/sold-out")}
    assert all(document["skus"] == ["SOLD-OUT"] for _, document in answers)
    assert place(rig, wanted[-1]) == answers[-1]
    wait_settled(rig)
    states = rig.sql("orders-db", "select state from orders where idempotency_key like 'deal-%'")
    assert [row["state"] for row in states] == ["rejected_sold_out"] * 60
    asked = rig.sql(
        "orders-db",
        "select count(*) as n from outbox where topic = 'release' and key in "
        "(select order_id::text from orders where idempotency_key like 'deal-%')",
    )
    assert asked[0]["n"] < 60
    assert violations(rig, wanted) == []
