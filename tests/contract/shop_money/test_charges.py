"""Charges at payments' door: cancelling before, while and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.contract.shop_money.rig import TOKEN
from tests.contract.shop_money.servers import call, until

if TYPE_CHECKING:
    from tests.contract.shop_money.rig import Rig


def charge(rig: Rig, key: str, order_id: str, amount_cents: int = 700) -> tuple[int, Any]:
    body = {
        "order_id": order_id,
        "amount_cents": amount_cents,
        "card": {"network": "visa", "token": "tok"},
        "reference": "R-TEST",
    }
    return call(rig.port("payments"), "POST", "/charges", body, {"Idempotency-Key": key})


def cancel(rig: Rig, key: str, order_id: str) -> tuple[int, Any]:
    return call(rig.port("payments"), "POST", f"/charges/{key}/cancel", {"order_id": order_id})


def show(rig: Rig, key: str) -> tuple[int, Any]:
    return call(rig.port("payments"), "GET", f"/charges/{key}")


def entries(rig: Rig, order_id: str) -> list[str]:
    ledgers = rig.ledger("psp-a") + rig.ledger("psp-b")
    return [entry["entry"] for entry in ledgers if entry["order_id"] == order_id]


def test_a_charge_is_made_once_and_shown(rig: Rig) -> None:
    order_id = str(uuid4())
    first, again = charge(rig, "once", order_id), charge(rig, "once", order_id)
    assert first == again
    assert (first[0], first[1]["state"], first[1]["processor"]) == (201, "captured", "psp-a")
    assert show(rig, "once")[1]["state"] == "captured"
    assert entries(rig, order_id) == ["charge"]
    assert charge(rig, "once", order_id, 701)[0] == 422
    assert show(rig, "never-heard-of")[0] == 404
    assert cancel(rig, "once", order_id)[1]["state"] == "refunded"
    assert cancel(rig, "once", order_id)[1]["state"] == "refunded"
    assert entries(rig, order_id) == ["charge", "refund"]
    assert charge(rig, "once", order_id)[0] == 409


def test_a_charge_that_arrives_after_its_cancellation_is_refused(rig: Rig) -> None:
    order_id = str(uuid4())
    assert cancel(rig, "too-late", order_id)[1]["state"] == "cancelled"
    status, document = charge(rig, "too-late", order_id)
    assert (status, document["type"]) == (409, "/problems/charge-cancelled")
    assert entries(rig, order_id) == []


def test_a_charge_in_doubt_is_resolved_once_its_processor_answers_again(rig: Rig) -> None:
    order_id = str(uuid4())
    rig.hang("payments.psp-a")
    status, document = charge(rig, "doubt", order_id)
    assert (status, document["type"], document["safe_to_retry"]) == (504, "/problems/payment-unknown", True)
    assert show(rig, "doubt")[1]["state"] == "unknown"
    rig.mend("payments.psp-a")
    until("payments knows", lambda: show(rig, "doubt")[1]["state"] == "captured")
    assert entries(rig, order_id) == ["charge"]
    assert charge(rig, "doubt", order_id)[0] == 201
    assert cancel(rig, "doubt", order_id)[0] == 200


def test_a_cancellation_that_cannot_be_carried_out_at_once_is_carried_out_later(rig: Rig) -> None:
    order_id = str(uuid4())
    rig.hang("payments.psp-a")
    assert charge(rig, "unwanted", order_id)[0] == 504
    assert cancel(rig, "unwanted", order_id)[0] == 504
    rig.mend("payments.psp-a")
    until("payments knows", lambda: show(rig, "unwanted")[1]["state"] == "cancelled")
    assert entries(rig, order_id) == ["charge", "void"]


def test_an_outsider_refuses_admin_without_its_token_and_behaviour_that_makes_no_sense(rig: Rig) -> None:
    for outsider in ("psp-a", "mail"):
        port = rig.port(outsider)
        assert call(port, "POST", "/admin/behaviour", {"fail_share": 1})[0] == 401
        status, document = call(
            port, "POST", "/admin/behaviour", {"fail_share": 2}, {"Authorization": f"Bearer {TOKEN}"}
        )
        assert status == 422
        assert "0 to 1" in document["detail"]


def test_an_outsider_knows_its_ledger_again_after_it_was_killed(rig: Rig) -> None:
    order_id = str(uuid4())
    charge(rig, "remembered", order_id)
    rig.kill_and_restart("psp-a")
    provider_key = rig.sql("payments-db", "select provider_key from charges where key = 'remembered'")[0][
        "provider_key"
    ]
    assert call(rig.port("psp-a"), "GET", f"/charges?key={provider_key}")[1]["state"] == "captured"
    body = {"amount_cents": 700, "card": {"network": "visa", "token": "tok"}, "order_id": order_id, "reference": "R"}
    assert call(rig.port("psp-a"), "POST", "/charges", body, {"Idempotency-Key": provider_key})[0] == 201
    assert entries(rig, order_id) == ["charge"]
    assert cancel(rig, "remembered", order_id)[0] == 200
