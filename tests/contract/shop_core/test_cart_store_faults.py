"""The cart while its store is slow, silent, cut off, reset or restarted: honest at once, well again at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.contract.shop_core.servers import Answer, Proxy, ServiceProcess, ValkeyServer, wait_until

LAMP = {"sku": "G00001", "quantity": 1, "price_cents": 1999}
RECOVERED_WITHIN_S = 3.0


def add(cart: ServiceProcess, deadline_ms: int = 5000) -> Answer:
    headers = {"X-Deadline-Ms": str(deadline_ms)}
    return cart.call("POST", f"/carts/{uuid4().hex}/lines", {"lines": [LAMP]}, key=uuid4().hex, headers=headers)


def works(cart: ServiceProcess) -> bool:
    return add(cart).status == 200


@pytest.fixture(autouse=True)
def healed(cart: ServiceProcess, cart_store: Proxy, valkey: ValkeyServer) -> Iterator[None]:
    yield
    cart_store.heal()
    valkey.signal(signal.SIGCONT)
    wait_until("the cart works again", lambda: works(cart))


def assert_honest(answer: Answer) -> None:
    assert answer.status == 503
    assert answer.body["type"] == "/problems/cart-unavailable"
    assert answer.body["safe_to_retry"] is True
    assert answer.body["reference"] == answer.headers["x-reference"]
    assert "@" in answer.body["contact"]


def test_a_store_that_is_cut_off_is_said_at_once_and_used_again_as_soon_as_it_is_back(
    cart: ServiceProcess, cart_store: Proxy
) -> None:
    cart_store.down()
    wait_until("the loss is noticed", lambda: not works(cart))

    assert_honest(add(cart))
    assert cart.is_ready()

    cart_store.up()
    wait_until("the cart works again", lambda: works(cart), RECOVERED_WITHIN_S)


def test_a_slow_store_makes_the_cart_slow_and_no_more(cart: ServiceProcess, cart_store: Proxy) -> None:
    cart_store.latency(300)

    assert {add(cart).status for _ in range(3)} == {200}


def test_the_shoppers_deadline_bounds_a_slow_store(cart: ServiceProcess, cart_store: Proxy) -> None:
    cart_store.latency(900)

    timeouts = cart.metric('link_calls_total{link="cart.cart-store",outcome="timeout"}')
    assert_honest(add(cart, deadline_ms=100))

    assert cart.metric('link_calls_total{link="cart.cart-store",outcome="timeout"}') == timeouts + 1


def test_a_silent_store_is_given_up(cart: ServiceProcess, cart_store: Proxy) -> None:
    cart_store.silence()

    assert_honest(add(cart))
    cart_store.heal()
    wait_until("the cart works again", lambda: works(cart), RECOVERED_WITHIN_S)


def test_connections_that_are_reset_do_not_linger(cart: ServiceProcess, cart_store: Proxy) -> None:
    cart_store.reset()
    cart_store.down()
    cart_store.up()
    wait_until("the loss is noticed", lambda: not works(cart))

    assert_honest(add(cart))
    cart_store.heal()
    wait_until("the cart works again", lambda: works(cart), RECOVERED_WITHIN_S)


def test_a_frozen_store_is_used_again_when_it_thaws(cart: ServiceProcess, valkey: ValkeyServer) -> None:
    valkey.freeze()
    assert_honest(add(cart))

    valkey.signal(signal.SIGCONT)

    wait_until("the cart works again", lambda: works(cart), RECOVERED_WITHIN_S)


def test_a_store_that_restarts_empty_is_given_its_scripts_again(cart: ServiceProcess, valkey: ValkeyServer) -> None:
    valkey.kill()
    wait_until("the loss is noticed", lambda: not works(cart))
    valkey.start()

    wait_until("the cart works again", lambda: works(cart), RECOVERED_WITHIN_S)
