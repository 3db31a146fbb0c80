"""One business line cannot be sold any more: it fails honestly, and no other order notices."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.contract.shop_money.books import violations, wait_settled
from tests.contract.shop_money.servers import call, until
from tests.contract.shop_money.test_orders import place, purchase

if TYPE_CHECKING:
    from tests.contract.shop_money.rig import Rig

BREAK = """
insert into products (sku, name, price_cents, business_line, rank, initial, on_hand)
values ('P0001', 'Print', 1, 'photo', 4, 1000, 1000) on conflict do nothing;
create function no_photo() returns trigger language plpgsql as $$ begin raise exception 'photo is broken'; end $$;
create trigger no_photo before insert on hold_lines for each row when (new.sku like 'P%')
    execute function no_photo()
"""


@pytest.fixture
def no_photo(rig: Rig) -> Iterator[Rig]:
    wait_settled(rig)
    rig.sql("inventory-db", BREAK)
    yield rig
    rig.sql("inventory-db", "drop function if exists no_photo cascade")


def rig_well(rig: Rig) -> None:
    """What other tests have done to breakers is over."""
    until("an order goes through", lambda: place(rig, purchase(f"well-{time.monotonic_ns()}"))[0] == 201)


def short_circuited(rig: Rig) -> str:
    """Calls on the stock that a breaker let nobody make."""
    metrics: str = call(rig.port("checkout"), "GET", "/metrics")[1].decode()
    return next(
        line
        for line in metrics.splitlines()
        if line.startswith('link_calls_total{link="checkout.inventory",outcome="short_circuited"}')
    )


def test_photo_orders_are_refused_with_the_truth_and_all_others_go_through(no_photo: Rig) -> None:
    rig = no_photo
    rig_well(rig)
    before = short_circuited(rig)
    photo = [purchase(f"photo-{number}", sku="P0001") for number in range(25)]
    general = [purchase(f"general-{number}") for number in range(25)]
    for print_, other in zip(photo, general, strict=True):
        status, document = place(rig, print_)
        assert (status, document["type"]) == (503, "/problems/inventory-unavailable")
        assert document["safe_to_retry"] is True
        assert document["reference"]
        assert place(rig, other)[0] == 201
    assert short_circuited(rig) == before
    wait_settled(rig)
    assert violations(rig, [*photo, *general]) == []
    rig.sql("inventory-db", "drop function no_photo cascade")
    assert place(rig, purchase("photo-again", sku="P0001"))[0] == 201
    wait_settled(rig)
