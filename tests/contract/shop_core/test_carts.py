"""Carts: changed once for each key, frozen once for each order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from tests.contract.shop_core.servers import Answer, ServiceProcess

LAMP = {"sku": "G00001", "quantity": 1, "price_cents": 1999}
CHAIR = {"sku": "G00002", "quantity": 2, "price_cents": 4999}


def add(cart: ServiceProcess, cart_id: str, *lines: dict[str, object], key: str | None = None) -> Answer:
    return cart.call("POST", f"/carts/{cart_id}/lines", {"lines": list(lines)}, key=key or uuid4().hex)


def freeze(cart: ServiceProcess, cart_id: str, key: str, fingerprint: str = "wish") -> Answer:
    return cart.call("POST", f"/carts/{cart_id}/freeze", {"fingerprint": fingerprint}, key=key)


def a_cart() -> str:
    return uuid4().hex


def test_a_cart_sums_what_is_put_into_it(cart: ServiceProcess) -> None:
    cart_id = a_cart()

    add(cart, cart_id, CHAIR)
    added = add(cart, cart_id, LAMP, CHAIR)

    assert added.body == {"cart_id": cart_id, "lines": [LAMP, {**CHAIR, "quantity": 4}], "total_cents": 21_995}
    assert cart.call("GET", f"/carts/{cart_id}").body == added.body
    assert added.headers["x-reference"].startswith("R-")


def test_a_cart_nobody_filled_is_empty(cart: ServiceProcess) -> None:
    assert cart.call("GET", f"/carts/{a_cart()}").body["lines"] == []


def test_the_same_change_sent_many_times_at_once_is_made_once(cart: ServiceProcess) -> None:
    cart_id, key = a_cart(), uuid4().hex
    with ThreadPoolExecutor(10) as senders:
        answers = list(senders.map(lambda _: add(cart, cart_id, LAMP, key=key), range(10)))

    assert {answer.status for answer in answers} == {200}
    assert cart.call("GET", f"/carts/{cart_id}").body["lines"] == [LAMP]


def test_a_key_with_another_body_is_refused(cart: ServiceProcess) -> None:
    cart_id, key = a_cart(), uuid4().hex
    add(cart, cart_id, LAMP, key=key)

    other = add(cart, cart_id, CHAIR, key=key)

    assert (other.status, other.body["type"]) == (422, "/problems/idempotency-key-reused")
    assert cart.call("GET", f"/carts/{cart_id}").body["lines"] == [LAMP]


def test_a_price_that_changed_between_two_tries_is_not_another_body(cart: ServiceProcess) -> None:
    cart_id, key = a_cart(), uuid4().hex
    add(cart, cart_id, LAMP, key=key)

    assert add(cart, cart_id, {**LAMP, "price_cents": 1}, key=key).body["total_cents"] == 1999


def test_a_full_cart_takes_no_more(cart: ServiceProcess) -> None:
    cart_id = a_cart()
    add(cart, cart_id, *({"sku": f"G{n:05d}", "quantity": 1, "price_cents": 100} for n in range(10, 60)))

    one_line_more = add(cart, cart_id, LAMP)
    too_many_pieces = add(cart, cart_id, {"sku": "G00010", "quantity": 99, "price_cents": 100})

    assert (one_line_more.status, one_line_more.body["type"]) == (409, "/problems/too-many-lines")
    assert (too_many_pieces.status, too_many_pieces.body["type"]) == (409, "/problems/too-many-pieces")
    assert cart.call("GET", f"/carts/{cart_id}").body["total_cents"] == 5000


def test_a_frozen_cart_stays_as_it_was_for_its_key(cart: ServiceProcess) -> None:
    cart_id, key = a_cart(), uuid4().hex
    add(cart, cart_id, LAMP)

    first = freeze(cart, cart_id, key)
    add(cart, cart_id, CHAIR)
    again = freeze(cart, cart_id, key)
    new = freeze(cart, cart_id, uuid4().hex)

    assert first.body == again.body == {"cart_id": cart_id, "lines": [LAMP], "total_cents": 1999}
    assert new.body["total_cents"] == 11_997


def test_freezing_at_once_gives_everybody_the_same_cart(cart: ServiceProcess) -> None:
    cart_id, key = a_cart(), uuid4().hex
    add(cart, cart_id, LAMP)

    def freeze_or_add(number: int) -> Answer:
        return add(cart, cart_id, LAMP) if number % 3 == 0 else freeze(cart, cart_id, key)

    with ThreadPoolExecutor(12) as senders:
        answers = list(senders.map(freeze_or_add, range(24)))

    totals = {answer.body["total_cents"] for number, answer in enumerate(answers) if number % 3}
    assert len(totals) == 1


def test_an_empty_cart_cannot_be_frozen(cart: ServiceProcess) -> None:
    answer = freeze(cart, a_cart(), uuid4().hex)

    assert (answer.status, answer.body["type"]) == (404, "/problems/cart-empty")
    assert answer.body["safe_to_retry"] is False


def test_an_orders_key_belongs_to_one_cart_and_one_wish(cart: ServiceProcess) -> None:
    cart_id, other_id, key = a_cart(), a_cart(), uuid4().hex
    add(cart, cart_id, LAMP)
    add(cart, other_id, LAMP)
    freeze(cart, cart_id, key)

    assert freeze(cart, other_id, key).status == 422
    assert freeze(cart, cart_id, key, fingerprint="another wish").status == 422


def test_bad_changes_are_refused(cart: ServiceProcess) -> None:
    cart_id = a_cart()
    bad: list[dict[str, object]] = [
        {**LAMP, "sku": ""},
        {**LAMP, "quantity": 0},
        {**LAMP, "quantity": 1.5},
        {**LAMP, "price_cents": -1},
        {},
    ]
    assert {add(cart, cart_id, line).status for line in bad} == {400}
    assert add(cart, cart_id, LAMP, LAMP).status == 400
    assert add(cart, cart_id).status == 400
    assert add(cart, "short", LAMP).status == 400
    assert cart.call("POST", f"/carts/{cart_id}/lines", {"lines": [LAMP]}).status == 400
    assert cart.call("POST", f"/carts/{cart_id}/lines", b"{", key="k").status == 400


def test_a_cart_that_costs_something_else_is_told_and_not_frozen_until_that_is_agreed_to(cart: ServiceProcess) -> None:
    cart_id, key = a_cart(), uuid4().hex
    add(cart, cart_id, LAMP)

    def order(total_cents: object, wish: str) -> Answer:
        body = {"fingerprint": wish, "total_cents": total_cents}
        return cart.call("POST", f"/carts/{cart_id}/freeze", body, key=key)

    assert order(1998, "for 1998").body["total_cents"] == 1999
    agreed = order(1999, "for 1999")
    add(cart, cart_id, CHAIR)
    assert (agreed.status, order(1999, "for 1999").body) == (200, agreed.body)
    assert order(1998, "for 1998").status == 422
    assert order("much", "x").status == order(-1, "x").status == 400
