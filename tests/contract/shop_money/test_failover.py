"""The three ways to use another processor: safe, none and blind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.shop_money.books import violations, wait_settled
from tests.contract.shop_money.servers import until
from tests.contract.shop_money.shoppers import Purchase, ask_once

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.shop_money.rig import Rig


def purchase(key: str, network: str = "visa") -> Purchase:
    return Purchase(key, network, "G00001", 1999, double_click=False, tries=1)


def buy(rig: Rig, prefix: str, times: int, network: str = "visa") -> list[Purchase]:
    purchases = [purchase(f"{prefix}-{number}", network) for number in range(times)]
    for one in purchases:
        ask_once(rig, one)
    return purchases


def processors_of(rig: Rig, prefix: str) -> list[str]:
    rows = rig.sql("payments-db", f"select processor from charges where key like '{prefix}-%' and state = 'captured'")
    return [row["processor"] for row in rows]


@pytest.fixture
def failover(rig: Rig, request: pytest.FixtureRequest) -> Iterator[str]:
    """Payments started with another FAILOVER."""
    payments = rig.services["payments"]
    payments.env["FAILOVER"] = request.param
    rig.kill_and_restart("payments")
    yield request.param
    payments.env["FAILOVER"] = "safe"
    rig.kill_and_restart("payments")


def test_purchases_move_to_the_other_processor_and_back(rig: Rig) -> None:
    rig.cut("payments.psp-a")
    away = buy(rig, "away", 12)
    assert [one.answers[0][0] for one in away] == [201] * 12
    assert set(processors_of(rig, "away")) == {"psp-b"}
    rig.mend("payments.psp-a")
    tries = iter(range(1000))

    def back() -> bool:
        number = next(tries)
        return buy(rig, f"back{number}", 1)[0].answers[0][0] == 201 and processors_of(rig, f"back{number}") == ["psp-a"]

    until("visa is charged at psp-a again", back, 10)
    wait_settled(rig)
    assert violations(rig, away) == []


def test_a_processor_that_hangs_costs_nobody_a_second_charge(rig: Rig) -> None:
    rig.behave("psp-a", delay_ms=1500, answer="after")
    late = buy(rig, "late", 3)
    # the first answer never comes in time, but the look-up says that it was captured: no need for the other processor
    assert [one.answers[0][0] for one in late] == [201] * 3
    assert set(processors_of(rig, "late")) == {"psp-a"}
    wait_settled(rig)
    assert violations(rig, late) == []


def test_a_late_look_up_is_not_taken_for_proof(rig: Rig) -> None:
    rig.behave("psp-b", fail_share=1, answer="after")
    failed = buy(rig, "lookup", 3, "mastercard")
    # psp-b has the money, says 500, and to the look-up "no such charge": only a void makes the other one safe
    assert [one.answers[0][0] for one in failed] == [201] * 3
    assert set(processors_of(rig, "lookup")) == {"psp-a"}
    assert [entry["amount_cents"] for entry in rig.ledger("psp-b") if entry["entry"] == "void"][-3:] == [1999] * 3
    wait_settled(rig)
    assert violations(rig, failed) == []


@pytest.mark.parametrize("failover", ["none"], indirect=True)
def test_without_failover_purchases_of_a_dead_processor_fail_honestly(rig: Rig, failover: str) -> None:
    rig.cut("payments.psp-a")
    visa, mastercard = buy(rig, "none-visa", 4), buy(rig, "none-mc", 4, "mastercard")
    assert {one.answers[0][:2] for one in visa} == {(503, "/problems/payment-unavailable")}
    assert {one.answers[0][2]["safe_to_retry"] for one in visa} == {True}
    assert {one.answers[0][0] for one in mastercard} == {201}
    rig.mend("payments.psp-a")
    wait_settled(rig)
    assert violations(rig, visa + mastercard) == []


@pytest.mark.parametrize("failover", ["blind"], indirect=True)
def test_blind_failover_charges_twice_and_the_books_show_it(rig: Rig, failover: str) -> None:
    wait_settled(rig)
    rig.behave("psp-a", fail_share=1, answer="after")
    twice = buy(rig, "blind", 2)
    assert [one.answers[0][0] for one in twice] == [201] * 2
    wait_settled(rig)
    found = [line for line in violations(rig, twice) if "2 captures stand" in line]
    assert len(found) == 2
    rig.empty()
