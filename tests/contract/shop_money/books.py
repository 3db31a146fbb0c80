"""The books after a fault: ledgers × charges × orders × mails × stock, compared in full."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from tests.contract.shop_money.rig import STOCK, Rig
from tests.contract.shop_money.servers import until
from tests.contract.shop_money.shoppers import Purchase

TERMINAL = {"accepted", "rejected_sold_out", "rejected_declined", "failed", "cancelled_refunded"}
SETTLED = {"captured", "declined", "not_charged", "cancelled", "refunded"}


def wait_settled(rig: Rig, within_s: float = 20.0) -> None:
    """Nothing is in flight any more."""

    def settled() -> bool:
        return (
            not rig.sql("orders-db", "select 1 from orders where due_at is not null or finished_at is null")
            and not rig.sql("orders-db", "select 1 from outbox where delivered_at is null")
            and not rig.sql("payments-db", "select 1 from charges where due_at is not null")
            and "held" not in rig.holds().values()
        )

    try:
        until("all orders, charges, messages and holds have come to their end", settled, within_s)
    except AssertionError as error:
        orders = rig.sql(
            "orders-db", "select idempotency_key, state, due_at - now() as due from orders where finished_at is null"
        )
        charges = rig.sql(
            "payments-db", "select key, state, due_at - now() as due from charges where due_at is not null"
        )
        outbox = rig.sql("orders-db", "select topic, key from outbox where delivered_at is null")
        held = [order for order, state in rig.holds().items() if state == "held"]
        raise AssertionError(f"{error}: {orders} {charges} {outbox} {held}") from None


def violations(rig: Rig, purchases: list[Purchase]) -> list[str]:
    """Everything that is wrong with the books; empty where they are right."""
    found: list[str] = []
    orders = {str(row["order_id"]): row for row in rig.sql("orders-db", "select * from orders")}
    by_key = {row["idempotency_key"]: row for row in orders.values()}
    charges = {row["key"]: row for row in rig.sql("payments-db", "select * from charges")}
    kept, captures = _ledgers(rig)
    mails = Counter((mail["order_id"], mail["template"]) for mail in rig.ledger("mail"))
    holds = rig.holds()
    for order_id, order in orders.items():
        accepted = order["state"] == "accepted"
        total = order["total_cents"] if accepted else 0
        if order["state"] not in TERMINAL:
            found.append(f"{order_id} is left {order['state']}")
        if sum(kept[order_id].values()) != total:
            found.append(f"{order_id} {order['state']}: kept {dict(kept[order_id])}, should be {total}")
        if captures[order_id] != int(accepted):
            found.append(f"{order_id} {order['state']}: {captures[order_id]} captures stand")
        told = mails[(order_id, "order-confirmation")]
        if told != int(order["accepted_at"] is not None):
            found.append(f"{order_id} {order['state']}: {told} confirmations")
        found += _bad_news(order, mails[(order_id, "order-failed")])
        if (holds.get(order_id) == "confirmed") != accepted or holds.get(order_id) == "held":
            found.append(f"{order_id} {order['state']}: hold {holds.get(order_id)}")
        charge = charges.get(order["idempotency_key"])
        state = charge["state"] if charge else "none"
        if accepted != (state == "captured"):
            found.append(f"{order_id} {order['state']}: charge {state}")
        if charge and state == "captured" and kept[order_id][charge["processor"]] != order["total_cents"]:
            found.append(f"{order_id}: payments believes in {charge['processor']}, kept {dict(kept[order_id])}")
    found += [
        f"ledger keeps {dict(cents)} of {order_id}, orders does not know it"
        for order_id, cents in kept.items()
        if order_id not in orders and order_id not in rig.forgotten and any(cents.values())
    ]
    found += [f"stock is off: {row}" for row in rig.sql("inventory-db", STOCK) if row["too_many"]]
    found += [f"charge {row['key']} left {row['state']}" for row in charges.values() if row["state"] not in SETTLED]
    for purchase in purchases:
        found += _told(purchase, by_key.get(purchase.key))
    return found


def _bad_news(order: dict[str, Any], mails: int) -> list[str]:
    """Who was never told yes, and whose order failed, is written to once; nobody else is, but for late refusals."""
    must = order["state"] in ("failed", "cancelled_refunded") and order["accepted_at"] is None
    right = int(must) <= mails <= int(order["state"] != "accepted")
    return [] if right else [f"{order['order_id']} {order['state']}: {mails} mails that it failed"]


def _told(purchase: Purchase, order: dict[str, Any] | None) -> list[str]:
    accepted = order is not None and order["state"] == "accepted"
    found = [
        f"{purchase.key} was told yes ({document['order_id']}), the books say {order}"
        for document in purchase.told_yes
        if not accepted or order is None or str(order["order_id"]) != document["order_id"]
    ]
    if purchase.told_no_for_sure and accepted:
        found.append(f"{purchase.key} was told no for sure, the books say accepted: {purchase.answers}")
    statuses = {status for status, _, _ in purchase.answers}
    if statuses & {400, 422, 500}:
        found.append(f"{purchase.key} got {purchase.answers}")
    return found


def _ledgers(rig: Rig) -> tuple[dict[str, Counter[str]], Counter[str]]:
    """Cents kept by order and processor, and charges that stand (not voided or refunded) by order."""
    kept: dict[str, Counter[str]] = defaultdict(Counter)
    captures: Counter[str] = Counter()
    for processor in ("psp-a", "psp-b"):
        standing: dict[str, str] = {}
        for entry in rig.ledger(processor):
            order_id, cents = entry["order_id"], entry["amount_cents"]
            if entry["entry"] == "charge":
                assert entry["key"] not in standing, f"{processor} charged {entry['key']} twice"
                standing[entry["key"]] = order_id
                kept[order_id][processor] += cents
            elif entry["entry"] in ("void", "refund") and order_id is not None and cents:
                standing.pop(entry["key"])
                kept[order_id][processor] -= cents
        captures.update(standing.values())
    return kept, captures
