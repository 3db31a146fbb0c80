from __future__ import annotations

import itertools
from typing import Any

import pytest

from stack.checkout.orders import TERMINAL, UNFINISHED, parse
from stack.checkout.rules import (
    Held,
    Move,
    Paid,
    after_cancel,
    after_charge,
    after_hold,
    finish,
    parked_after_charge,
    parked_before_charge,
)
from stack.kit.problems import Problem
from stack.kit.references import order_id_for

NO_MONEY = {Paid.CANCELLED, Paid.REFUNDED, Paid.DECLINED}


def test_an_order_that_may_be_charged_is_never_refused_without_asking_payments() -> None:
    for held in Held:
        assert after_hold(held, may_be_charged=True) in (Move.CHARGE, Move.PARK, Move.CANCEL)
    assert after_hold(Held.SOLD_OUT, may_be_charged=False) is Move.REJECT_SOLD_OUT


def test_a_definite_no_is_told_only_where_nothing_can_be_charged() -> None:
    for might, paid in itertools.product((True, False), (Paid.NOT_CHARGED, Paid.UNKNOWN, Paid.NEVER_HEARD)):
        parking = parked_after_charge(paid, might)
        assert (parking.told == "order-pending") == parking.may_be_charged
        assert parking.may_be_charged == (might or paid is not Paid.NOT_CHARGED)
    for might in (True, False):
        parking = parked_before_charge(might, "inventory-unavailable")
        assert (parking.told == "order-pending") == parking.may_be_charged == might


def test_only_captured_money_makes_an_accepted_order() -> None:
    for paid in Paid:
        assert (after_charge(paid) is Move.ACCEPT) == (paid is Paid.CAPTURED)
        for state, idle_s in itertools.product(UNFINISHED, (0.0, 9.0)):
            move = finish(state, True, idle_s, 4.0, paid)
            assert move is not Move.ACCEPT or (paid is Paid.CAPTURED and state != "cancelling")


def test_an_order_given_up_stays_given_up() -> None:
    for paid in Paid:
        assert finish("cancelling", True, 0.0, 4.0, paid) is Move.CANCEL
        assert after_cancel(paid) in (Move.FAIL, Move.REFUNDED, Move.REJECT_DECLINED, Move.WAIT)
        assert (after_cancel(paid) is not Move.WAIT) == (paid in NO_MONEY)


def test_the_finisher_asks_before_it_gives_up_what_may_be_charged() -> None:
    assert finish("placed", True, 9.0, 4.0, None) is Move.ASK
    assert finish("placed", True, 9.0, 4.0, Paid.NEVER_HEARD) is Move.CANCEL
    assert finish("placed", True, 9.0, 4.0, Paid.UNKNOWN) is Move.WAIT
    assert finish("held", False, 9.0, 4.0, None) is Move.FAIL


def test_the_shopper_has_time_to_come_back() -> None:
    assert finish("held", False, 1.0, 4.0, None) is Move.WAIT
    assert finish("payment_unknown", True, 1.0, 4.0, Paid.NOT_CHARGED) is Move.WAIT


def body(**changes: Any) -> dict[str, Any]:
    right: dict[str, Any] = {
        "lines": [{"sku": "G1", "quantity": 2, "price_cents": 150}, {"sku": "P1", "quantity": 1, "price_cents": 9}],
        "total_cents": 309,
        "card": {"network": "visa", "token": "tok"},
        "email": "a@b.example",
    }
    return {**right, **changes}


def test_an_order_is_read_and_its_id_and_reference_follow_from_its_key() -> None:
    order = parse("key", body(), "general|north")
    assert (order.order_id, order.total_cents, order.cohort) == (order_id_for("key"), 309, "general|north")
    assert order.reference.startswith("R-")
    assert parse("key", body(), None).fingerprint == order.fingerprint
    assert parse("key", body(cohort={"region": "north"}), None).cohort == '{"region":"north"}'


@pytest.mark.parametrize(
    "changes",
    [
        {"card": {"network": "amex", "token": "tok"}},
        {"card": {"network": "visa", "token": "other"}},
        {"email": "c@d.example"},
        {"lines": [{"sku": "G1", "quantity": 1, "price_cents": 309}]},
    ],
)
def test_another_body_has_another_fingerprint(changes: dict[str, Any]) -> None:
    assert parse("key", body(**changes), None).fingerprint != parse("key", body(), None).fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"lines": None},
        {"lines": [{"sku": "G1", "quantity": 1, "price_cents": 309}] * 51},
        {"lines": [{"sku": "G1", "quantity": 0, "price_cents": 309}]},
        {"lines": [{"sku": "G1", "quantity": True, "price_cents": 309}]},
        {"lines": [{"sku": "", "quantity": 1, "price_cents": 309}]},
        {"lines": ["G1"]},
        {"lines": [{"sku": "G1", "quantity": 1, "price_cents": 100}, {"sku": "G1", "quantity": 1, "price_cents": 209}]},
        {"total_cents": 0},
        {"total_cents": 309.0},
        {"card": {"network": "visa"}},
        {"email": None},
    ],
)
def test_a_malformed_order_is_a_bad_request(changes: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        parse("key", body(**changes), None)
    assert refused.value.status == 400


def test_a_total_that_does_not_add_up_is_a_changed_price() -> None:
    with pytest.raises(Problem) as refused:
        parse("key", body(total_cents=310), None)
    assert (refused.value.status, refused.value.type) == (409, "price-changed")


def test_states_are_terminal_or_unfinished() -> None:
    assert not TERMINAL & set(UNFINISHED)
