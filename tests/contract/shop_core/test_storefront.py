"""The shoppers' door: pages, carts and orders, and what it says when something behind it is gone."""

from __future__ import annotations

import uuid

from stack.kit.references import for_key, order_id_for
from tests.contract.shop_core.fakes import Shop
from tests.contract.shop_core.servers import Answer, PostgresServer, wait_until


def a_key() -> str:
    return uuid.uuid4().hex


def kind(answer: Answer) -> str:
    return str(answer.body["type"]).removeprefix("/problems/")


def assert_honest(answer: Answer, *, status: int, problem: str) -> None:
    assert (answer.status, kind(answer)) == (status, problem)
    assert answer.body["safe_to_retry"] is True
    assert answer.body["reference"] == answer.headers["x-reference"]
    assert answer.body["retry_after_s"] > 0
    assert "@" in answer.body["contact"]


# ---- browsing


def test_a_page_says_what_it_costs_and_whether_it_is_there(shop: Shop) -> None:
    lamp = shop.front.call("GET", "/products/G00001").body
    kettle = shop.front.call("GET", "/products/G00003").body

    assert {name: lamp[name] for name in ("sku", "name", "price_cents", "business_line", "available")} == {
        "sku": "G00001",
        "name": "Sturdy Steel Lamp 00001",
        "price_cents": 1999,
        "business_line": "general",
        "available": True,
    }
    assert lamp["as_of"]
    assert kettle["available"] is False
    assert shop.front.call("GET", "/products/G99999").status == 404


def test_a_search_finds_by_words_whole_and_begun(shop: Shop) -> None:
    def found(words: str) -> list[str]:
        return [item["sku"] for item in shop.front.call("GET", f"/search?q={words}").body["items"]]

    assert found("lamp") == ["G00001"]
    assert found("glossy+print") == ["P0001"]
    assert found("Photo%20pri") == ["P0001"]
    assert found("lamp+chair") == []
    assert found("") == []
    assert shop.front.call("GET", "/search").status == 400


def test_the_catalogue_is_in_order_of_popularity(shop: Shop) -> None:
    ranked = shop.front.call("GET", "/catalogue").body["skus_by_rank"]

    assert [row["sku"] for row in ranked] == ["G00001", "G00002", "P0001", "G00003"]
    assert ranked[2] == {"sku": "P0001", "price_cents": 99, "business_line": "photo"}


def test_a_page_follows_the_stock_and_the_prices(shop: Shop, postgres: PostgresServer) -> None:
    postgres.sql("UPDATE products SET on_hand = 0, initial = 0 WHERE sku = 'G00002'")
    postgres.sql("UPDATE products SET price_cents = 5 WHERE sku = 'G00001'")

    def page(sku: str) -> dict[str, object]:
        document: dict[str, object] = shop.front.call("GET", f"/products/{sku}").body
        return document

    wait_until("the stock is known", lambda: page("G00002")["available"] is False)
    wait_until("the price is known", lambda: page("G00001")["price_cents"] == 5)


def test_browsing_goes_on_without_inventory_and_says_what_it_does_not_know(shop: Shop) -> None:
    shop.inventory.down()

    def lamp() -> Answer:
        return shop.front.call("GET", "/products/G00001")

    wait_until("the stock is stale", lambda: lamp().body["available"] is None)

    assert lamp().status == 200
    assert shop.front.call("GET", "/search?q=lamp").status == 200
    assert shop.status()["components"]["browse"] == "degraded"
    shop.inventory.up()
    wait_until("the stock is known again", lambda: lamp().body["available"] is True, 3)


def test_a_storefront_that_restarts_without_inventory_shows_what_it_knew(shop: Shop) -> None:
    shop.inventory.down()
    shop.front.stop()
    shop.front.start()

    assert shop.front.call("GET", "/products/G00001").body["available"] is None


# ---- carts


def test_a_cart_gets_its_prices_from_the_shelf(shop: Shop) -> None:
    cart_id = a_key()
    shop.add(cart_id, "G00001", 2)

    assert shop.add(cart_id, "P0001").body["total_cents"] == 2 * 1999 + 99
    assert shop.front.call("GET", f"/carts/{cart_id}").body["total_cents"] == 2 * 1999 + 99
    assert kind(shop.add(cart_id, "G99999")) == "unknown-product"


def test_carts_work_without_inventory_and_checkout(shop: Shop) -> None:
    shop.inventory.down()
    shop.checkout.down()

    assert shop.add(a_key()).status == 200


def test_without_the_cart_service_pages_work_and_carts_say_so(shop: Shop) -> None:
    shop.cart.down()

    assert_honest(shop.add(a_key()), status=503, problem="cart-unavailable")
    assert shop.front.call("GET", "/products/G00001").status == 200

    wait_until("the status page knows", lambda: shop.status()["components"]["cart"] == "down")
    shop.cart.up()
    wait_until("carts work again", lambda: shop.add(a_key()).status == 200, 3)


# ---- orders


def test_an_order_is_placed_with_what_was_in_the_cart(shop: Shop) -> None:
    cart_id, key = shop.filled_cart(), a_key()

    answer = shop.order(cart_id, key, headers={"X-Cohort": "network:visa"})

    assert answer.status == 201
    assert answer.body == {
        "order_id": str(order_id_for(key)),
        "reference": for_key(key),
        "state": "accepted",
        "total_cents": 1999,
    }
    assert answer.headers["x-reference"] == for_key(key)
    asked_key, body, headers = shop.checkout_service.asked[0]
    assert asked_key == key
    assert body["lines"] == [{"sku": "G00001", "quantity": 1, "price_cents": 1999}]
    assert (body["cohort"], headers["x-cohort"]) == ("network:visa", "network:visa")
    assert headers["x-reference"] == for_key(key)
    assert 0 < int(headers["x-deadline-ms"]) < 5000
    assert shop.front.call("GET", f"/orders/{order_id_for(key)}").body["state"] == "accepted"


def test_an_order_asked_again_is_the_same_order_though_the_cart_has_changed(shop: Shop) -> None:
    cart_id, key = shop.filled_cart(), a_key()

    first = shop.order(cart_id, key)
    shop.add(cart_id)
    again = shop.order(cart_id, key)

    assert first.body == again.body
    assert shop.checkout_service.asked[0][1] == shop.checkout_service.asked[1][1]


def test_an_orders_key_with_another_wish_is_refused(shop: Shop) -> None:
    cart_id, key = shop.filled_cart(), a_key()
    shop.order(cart_id, key)

    assert kind(shop.order(cart_id, key, total_cents=1)) == "idempotency-key-reused"


def test_a_total_the_shopper_did_not_agree_to_is_not_charged(shop: Shop) -> None:
    answer = shop.order(shop.filled_cart(), a_key(), total_cents=1)

    assert (answer.status, kind(answer)) == (409, "price-changed")
    assert answer.body["total_cents"] == 1999
    assert shop.checkout_service.asked == []


def test_what_checkout_refuses_is_told_as_it_is(shop: Shop) -> None:
    shop.checkout_service.refuse(402, "declined")

    answer = shop.order(shop.filled_cart(), a_key())

    assert (answer.status, kind(answer)) == (402, "declined")


def test_an_order_whose_cart_is_gone_is_still_told_how_it_ended(shop: Shop) -> None:
    cart_id, key = shop.filled_cart(), a_key()
    accepted = shop.order(cart_id, key)
    shop.cart.down()

    assert shop.order(cart_id, key).body == accepted.body
    assert_honest(shop.order(cart_id, a_key()), status=503, problem="cart-unavailable")


def test_without_checkout_orders_are_refused_honestly_and_the_rest_works(shop: Shop) -> None:
    cart_id = shop.filled_cart()
    shop.checkout.down()

    assert_honest(shop.order(cart_id, a_key()), status=503, problem="checkout-unavailable")
    assert shop.add(cart_id).status == 200
    wait_until("the status page knows", lambda: shop.status()["components"]["checkout"] == "down")
    assert "orders" in shop.status()["banner"]

    shop.checkout.up()
    wait_until("orders are taken again", lambda: shop.order(shop.filled_cart(), a_key()).status == 201, 3)
    wait_until("the status page knows", lambda: shop.status()["components"]["checkout"] == "up")


def test_an_answer_that_does_not_come_in_time_is_a_pending_order(shop: Shop) -> None:
    cart_id, key = shop.filled_cart(), a_key()
    shop.checkout.silence()

    answer = shop.order(cart_id, key, headers={"X-Deadline-Ms": "600"})

    assert_honest(answer, status=504, problem="order-pending")
    assert answer.body["reference"] == for_key(key)
    shop.checkout.heal()
    wait_until("the order is known", lambda: shop.order(cart_id, key).status == 201, 3)
    assert len(shop.checkout_service.orders) == 1


def test_failing_payments_are_said_of_payments(shop: Shop) -> None:
    shop.checkout_service.refuse(503, "payment-unavailable")
    assert shop.order(shop.filled_cart(), a_key()).status == 503

    components = shop.status()["components"]

    assert components["payments"] == "down"
    assert components["checkout"] == "up"


# ---- whom the shop has failed


def test_who_gets_no_order_is_remembered_over_a_kill_and_handed_to_checkout(shop: Shop) -> None:
    cart_id, key, back_in_time = shop.filled_cart(), a_key(), a_key()
    shop.checkout.down()
    assert shop.order(cart_id, key).status == 503
    assert shop.order(cart_id, back_in_time).status == 503
    shop.front.kill()
    shop.front.start()
    assert shop.order(cart_id, back_in_time).status == 503
    shop.checkout.up()
    wait_until("who came back has an order", lambda: shop.order(cart_id, back_in_time).status == 201, 3)

    wait_until("the other one is handed over", lambda: bool(shop.checkout_service.unplaced), 12)

    assert shop.checkout_service.unplaced == [
        {
            "key": key,
            "total_cents": 1999,
            "network": "visa",
            "email": "a@shop.example",
            "cohort": None,
            "why": "checkout-unavailable",
        }
    ]


def test_who_is_turned_away_at_the_door_or_by_a_closed_shop_is_remembered_too(shop: Shop) -> None:
    gone, closed = a_key(), a_key()
    shop.order(uuid.uuid4().hex, gone)
    shop.switch(is_open=False, banner="Back at noon")
    shop.order(shop.filled_cart(), closed)

    wait_until("both are handed over", lambda: len(shop.checkout_service.unplaced) == 2, 12)

    assert [(order["key"], order["why"]) for order in shop.checkout_service.unplaced] == [
        (gone, "cart-empty"),
        (closed, "ordering-closed"),
    ]


# ---- the switch


def test_ordering_can_be_switched_off_with_a_banner_and_stays_off_over_a_restart(shop: Shop) -> None:
    cart_id, key = shop.filled_cart(), a_key()
    accepted = shop.order(cart_id, key)
    shop.switch(is_open=False, banner="Back <soon>")
    shop.front.stop()
    shop.front.start()

    refused = shop.order(cart_id, a_key())

    assert_honest(refused, status=503, problem="ordering-closed")
    assert refused.body["detail"] == "Back <soon>"
    assert shop.order(cart_id, key).body == accepted.body
    status = shop.status()
    assert (status["ordering"], status["banner"]) == ("closed", "Back <soon>")
    assert "Back &lt;soon&gt;" in shop.front.call("GET", "/").body
    assert shop.add(cart_id).status == 200
    shop.switch(is_open=True)
    assert shop.order(cart_id, a_key(), total_cents=2 * 1999).status == 201


def test_only_operators_reach_the_switch(shop: Shop) -> None:
    assert shop.switch(is_open=False, token="guess").status == 401
    assert shop.front.call("POST", "/admin/ordering", {"open": False}).status == 401
    assert shop.status()["ordering"] == "open"


def test_bad_orders_are_refused_with_what_would_be_right(shop: Shop) -> None:
    card = {"network": "visa", "token": "tok"}
    good = {"cart_id": a_key(), "total_cents": 1, "card": card, "email": "a@b.example"}
    bad: list[object] = [
        [],
        {**good, "cart_id": "x"},
        {**good, "total_cents": "1"},
        {**good, "card": {"network": "diners", "token": "tok"}},
        {**good, "email": "nobody"},
    ]

    assert {shop.front.call("POST", "/orders", body, key=a_key()).status for body in bad} == {400}
    assert shop.front.call("POST", "/orders", good).status == 400
