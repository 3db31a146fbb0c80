"""An order as the shopper sends it, and as it is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from stack.kit.problems import Problem, bad_request
from stack.kit.references import for_key, order_id_for

_MAX_LINES = 50
_MAX_QUANTITY = 1_000
_MAX_CENTS = 100_000_000

MAX_UNPLACED = 100

TERMINAL = frozenset({"accepted", "rejected_sold_out", "rejected_declined", "failed", "cancelled_refunded"})
CLOSED_UNPLACED = ""
"""The fingerprint of an order that failed before it came here: of whatever cart, it is over."""
UNFINISHED = ("placed", "held", "payment_unknown", "cancelling")


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a shopper wants, under a key. `lines` is JSON as stored; the card's token is used and never stored."""

    key: str
    order_id: UUID
    reference: str
    fingerprint: str
    lines: str
    hold_lines: tuple[Mapping[str, Any], ...]
    total_cents: int
    network: str
    token: str
    email: str
    cohort: str | None


@dataclass(frozen=True, slots=True)
class Order:
    """An order as stored; `idle_s` is how long ago a worker last touched it (0 where that was not asked)."""

    order_id: UUID
    key: str
    fingerprint: str
    reference: str
    state: str
    attempt: int
    epoch: int
    may_be_charged: bool
    total_cents: int
    problem: dict[str, Any]
    idle_s: float = 0.0


def parse(key: str, body: Mapping[str, Any], cohort: str | None) -> NewOrder:
    """An order from a request's body. Raises 400 (malformed) or 409 price-changed (the lines are not the total)."""
    lines, total_cents, card = body.get("lines"), body.get("total_cents"), body.get("card")
    if not isinstance(lines, list) or not 0 < len(lines) <= _MAX_LINES:
        raise bad_request(f"lines must be a list of 1 to {_MAX_LINES}")
    kept = [_line(line) for line in lines]
    if len({line["sku"] for line in kept}) != len(kept):
        raise bad_request("lines must name each sku once")
    if not _is_count(total_cents, 1):
        raise bad_request("total_cents must be a whole number above 0")
    if sum(line["quantity"] * line["price_cents"] for line in kept) != total_cents:
        raise Problem(
            409,
            "price-changed",
            "The price has changed",
            "The lines do not add up to the total the shopper agreed to; look at the cart again. Nothing was done.",
            safe_to_retry=False,
        )
    network = card.get("network") if isinstance(card, dict) else None
    token = card.get("token") if isinstance(card, dict) else None
    email = body.get("email", "")
    if not isinstance(network, str) or not isinstance(token, str) or not network or not token:
        raise bad_request("card must be an object with the texts network and token")
    if not isinstance(email, str):
        raise bad_request("email must be text")
    lines_json = orjson.dumps(kept).decode()
    told = body.get("cohort")
    return NewOrder(
        key=key,
        order_id=order_id_for(key),
        reference=for_key(key),
        fingerprint=_fingerprint(lines_json, str(total_cents), network, token, email),
        lines=lines_json,
        hold_lines=tuple({"sku": line["sku"], "quantity": line["quantity"]} for line in kept),
        total_cents=int(total_cents),
        network=network,
        token=token,
        email=email,
        cohort=cohort if told is None else told if isinstance(told, str) else orjson.dumps(told).decode(),
    )


def parse_unplaced(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Orders that failed before they came here: key, network, email, why, total_cents, cohort. Raises 400."""
    orders = body.get("orders")
    if not isinstance(orders, list) or not 0 < len(orders) <= MAX_UNPLACED:
        raise bad_request(f"orders must be a list of 1 to {MAX_UNPLACED}")
    return [_unplaced(order) for order in orders]


def _unplaced(order: object) -> dict[str, Any]:
    texts = ("key", "network", "email", "why")
    if (
        not isinstance(order, dict)
        or not all(isinstance(order.get(name), str) for name in texts)
        or not _is_count(order.get("total_cents"), 1)
    ):
        raise bad_request(f"each order needs the texts {', '.join(texts)} and total_cents")
    key, cohort = order["key"], order.get("cohort")
    known = {"order_id": str(order_id_for(key)), "reference": for_key(key), "total_cents": order["total_cents"]}
    return {**known, "cohort": cohort if isinstance(cohort, str) else None, **{name: order[name] for name in texts}}


def _line(line: object) -> dict[str, Any]:
    if isinstance(line, dict):
        sku, quantity, price_cents = line.get("sku"), line.get("quantity"), line.get("price_cents")
        counted = _is_count(quantity, 1, _MAX_QUANTITY) and _is_count(price_cents, 0)
        if isinstance(sku, str) and sku and counted:
            return {"sku": sku, "quantity": quantity, "price_cents": price_cents}
    raise bad_request(
        f"each line needs sku, quantity (1 to {_MAX_QUANTITY}) and price_cents, the last two whole numbers"
    )


def _is_count(value: object, least: int, most: int = _MAX_CENTS) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _fingerprint(*parts: str) -> str:
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=12).hexdigest()
